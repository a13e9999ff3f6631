//! What a setting is: a name, a type that reads from text and prints to it, and a default.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::topic::topic_setting;
use crate::time::{Duration, millis};

/// A setting's type: how it reads from and prints to text.
pub trait Setting: Sized {
    /// # Errors
    /// What was expected, for the user.
    fn parse(text: &str) -> Result<Self, &'static str>;
    fn print(&self) -> String;
}

macro_rules! number_setting {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn parse(text: &str) -> Result<Self, &'static str> {
                text.trim().parse().map_err(|_| concat!("a number (", stringify!($type), ")"))
            }
            fn print(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
number_setting!(i16, i32, u32, i64, u64, usize);

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().map_err(|_| "true or false")
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

/// Milliseconds, as every `.ms` setting of Kafka counts.
impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().map(Duration::from_millis).map_err(|_| "milliseconds (a whole number)")
    }
    fn print(&self) -> String {
        millis(*self).to_string()
    }
}

/// A limit that -1 lifts.
impl<T: Setting> Setting for Option<T> {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.trim() == "-1" { Ok(None) } else { T::parse(text).map(Some) }
    }
    fn print(&self) -> String {
        self.as_ref().map_or_else(|| "-1".to_string(), T::print)
    }
}

macro_rules! setting_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant,)* }

        impl Setting for $name {
            fn parse(text: &str) -> Result<Self, &'static str> {
                match text.trim() {
                    $($text => Ok($name::$variant),)*
                    _ => Err(concat!("one of:" $(, " ", $text)*)),
                }
            }
            fn print(&self) -> String {
                match self { $($name::$variant => $text,)* }.to_string()
            }
        }
    };
}

/// Refuses a number below what a setting takes; what is no number is refused when it is parsed.
pub(super) fn at_least(low: i64, name: &str, value: &str) -> Result<(), String> {
    match value.trim().parse::<i128>() {
        Ok(number) if number < i128::from(low) => {
            Err(format!("{name} = {value:?}: expected at least {low}"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A setting's name and value.
pub type Pair = (String, String);

pub(super) fn pair(
    text: &str,
    names: &[&str],
    set: impl FnOnce(&str, &str) -> Result<(), String>,
) -> Result<Pair, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    set(name, value).map_err(|what| match topic_setting(name) {
        Some(_) | None if names.contains(&name) => what,
        Some(own) => format!("topics have that one: give them {own:?} as they are made"),
        None => format!("unknown setting; {}", suggestion(name, names)),
    })?;
    Ok((name.to_string(), value.to_string()))
}

/// Makes a struct of settings that can be listed, set and printed by name. A number behind the name
/// is the least that the setting takes: Kafka's, or 1 where less would keep a process busy for
/// ever.
macro_rules! settings {
    ($(#[$meta:meta])* $name:ident {
        $(
            $(#[$doc:meta])*
            $field:ident: $type:ty = $default:expr, $key:literal $(, $low:literal)?;
        )*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            /// The names that [`Self::set`] takes.
            pub const NAMES: &'static [&'static str] = &[$($key,)*];

            /// Sets one value by its name.
            ///
            /// # Errors
            /// One line for the user: what the value has to be.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $($key => {
                        $($crate::config::setting::at_least($low, name, value)?;)?
                        match $crate::config::Setting::parse(value) {
                            Ok(parsed) => self.$field = parsed,
                            Err(expected) => {
                                return Err(format!("{name} = {value:?}: expected {expected}"));
                            }
                        }
                    })*
                    _ => return Err(format!("unknown setting {name:?}")),
                }
                Ok(())
            }

            /// Reads `name=value` of one of these settings.
            ///
            /// # Errors
            /// One line for the user: what is wrong with it, and how to mend that.
            pub fn pair(text: &str) -> Result<$crate::config::Pair, String> {
                let set = |name: &str, value: &str| Self::default().set(name, value);
                $crate::config::setting::pair(text, Self::NAMES, set)
            }

            /// Sets what [`Self::pair`] has read.
            ///
            /// # Errors
            /// One line for the user, where it was not that function.
            pub fn set_pairs(&mut self, pairs: &[$crate::config::Pair]) -> Result<(), String> {
                pairs.iter().try_for_each(|(name, value)| self.set(name, value))
            }

            /// One value by its name, as text.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($key => Some(self.$field.print()),)*
                    _ => None,
                }
            }
        }
    };
}

/// How to mend an unknown name: the nearest known one, those that contain it, or all of them.
#[must_use]
pub fn suggestion(unknown: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| (distance(unknown, name), **name));
    if let Some(name) = nearest
        && distance(unknown, name) <= 2.max(unknown.len() / 3)
    {
        return format!("did you mean {name:?}?");
    }
    let contains = |name: &&str| unknown.len() > 2 && name.contains(unknown);
    let mut alike: Vec<&str> = known.iter().copied().filter(contains).collect();
    if alike.is_empty() {
        alike = known.to_vec();
        alike.sort_unstable();
    }
    if alike.is_empty() { "take it out".into() } else { format!("one of: {}", alike.join(", ")) }
}

/// Edits between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
