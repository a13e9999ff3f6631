mod cluster;
mod storm;
