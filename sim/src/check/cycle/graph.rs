//! Operations that depend on each other, and the cycles among them.
//!
//! After Adya and Elle: if an order of all operations explains what each of them saw, no operation
//! depends on itself, by whatever way. Components are found by Tarjan's algorithm, in time linear
//! in operations and edges; of a component one shortest cycle is told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// How one operation depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    /// It wrote the version that the other one's write came next after.
    WriteWrite,
    /// It wrote what the other one read.
    WriteRead,
    /// It read what the other one's write came next after.
    ReadWrite,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dependency::WriteWrite => "ww",
            Dependency::WriteRead => "wr",
            Dependency::ReadWrite => "rw",
        })
    }
}

/// An edge: to whom, how, and why in words.
#[derive(Clone, Debug)]
struct Edge {
    to: usize,
    kind: Dependency,
    why: String,
}

/// Operations, numbered as they come.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    names: Vec<String>,
    edges: Vec<Vec<Edge>>,
}

/// A way from an operation back to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Each operation, how the next one depends on it, and why; the last leads to the first.
    pub steps: Vec<(String, Dependency, String)>,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, kind, why)) in self.steps.iter().enumerate() {
            let next = &self.steps[(index + 1) % self.steps.len()].0;
            let then = if index == 0 { "" } else { "; " };
            write!(f, "{then}{name} comes before {next} ({kind}: {why})")?;
        }
        f.write_str(": no order of them explains that")
    }
}

impl Graph {
    /// Adds an operation.
    pub fn operation(&mut self, name: String) -> usize {
        self.names.push(name);
        self.edges.push(Vec::new());
        self.names.len() - 1
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// `to` depends on `from`.
    pub fn edge(&mut self, from: usize, to: usize, kind: Dependency, why: String) {
        self.edges[from].push(Edge { to, kind, why });
    }

    /// Cycles by these kinds of dependency, one of each component that has any.
    #[must_use]
    pub fn cycles(&self, kinds: &[Dependency]) -> Vec<Cycle> {
        let components = self.components(kinds);
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (node, component) in components.iter().enumerate() {
            members.entry(*component).or_default().push(node);
        }
        let mut found = Vec::new();
        for nodes in members.values() {
            let itself = |node: usize| {
                self.edges[node].iter().any(|e| e.to == node && kinds.contains(&e.kind))
            };
            let start = if nodes.len() > 1 { nodes.first() } else { None };
            let start = start.or_else(|| nodes.iter().find(|node| itself(**node)));
            if let Some(start) = start {
                found.extend(self.shortest(*start, kinds, &components));
            }
        }
        found
    }

    /// The component of each operation.
    fn components(&self, kinds: &[Dependency]) -> Vec<usize> {
        let count = self.names.len();
        let mut tarjan = Tarjan {
            graph: self,
            kinds,
            index: vec![usize::MAX; count],
            low: vec![0; count],
            component: vec![usize::MAX; count],
            stack: Vec::new(),
            next: 0,
            components: 0,
        };
        for node in 0..count {
            if tarjan.index[node] == usize::MAX {
                tarjan.visit(node);
            }
        }
        tarjan.component
    }

    /// A shortest way from an operation back to itself within its component.
    fn shortest(&self, start: usize, kinds: &[Dependency], component: &[usize]) -> Option<Cycle> {
        let mut came: BTreeMap<usize, (usize, &Edge)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for edge in &self.edges[node] {
                let inside = kinds.contains(&edge.kind) && component[edge.to] == component[start];
                if !inside || came.contains_key(&edge.to) {
                    continue;
                }
                came.insert(edge.to, (node, edge));
                if edge.to == start {
                    return Some(self.told(start, &came));
                }
                queue.push_back(edge.to);
            }
        }
        None
    }

    fn told(&self, start: usize, came: &BTreeMap<usize, (usize, &Edge)>) -> Cycle {
        let mut steps = Vec::new();
        let mut node = start;
        loop {
            let (from, edge) = came[&node];
            steps.push((self.names[from].clone(), edge.kind, edge.why.clone()));
            node = from;
            if node == start {
                steps.reverse();
                return Cycle { steps };
            }
        }
    }
}

/// Tarjan's algorithm, without recursion.
struct Tarjan<'a> {
    graph: &'a Graph,
    kinds: &'a [Dependency],
    index: Vec<usize>,
    low: Vec<usize>,
    component: Vec<usize>,
    stack: Vec<usize>,
    next: usize,
    components: usize,
}

impl Tarjan<'_> {
    fn enter(&mut self, node: usize) {
        self.index[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
    }

    fn visit(&mut self, root: usize) {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        self.enter(root);
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            let Some(edge) = self.graph.edges[node].get(*at) else {
                path.pop();
                self.leave(node, path.last().map(|(parent, _)| *parent));
                continue;
            };
            *at += 1;
            if !self.kinds.contains(&edge.kind) {
                continue;
            }
            if self.index[edge.to] == usize::MAX {
                self.enter(edge.to);
                path.push((edge.to, 0));
            } else if self.component[edge.to] == usize::MAX {
                self.low[node] = self.low[node].min(self.index[edge.to]);
            }
        }
    }

    fn leave(&mut self, node: usize, parent: Option<usize>) {
        if self.low[node] == self.index[node] {
            while let Some(member) = self.stack.pop() {
                self.component[member] = self.components;
                if member == node {
                    break;
                }
            }
            self.components += 1;
        }
        if let Some(parent) = parent {
            self.low[parent] = self.low[parent].min(self.low[node]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WW: Dependency = Dependency::WriteWrite;
    const WR: Dependency = Dependency::WriteRead;
    const RW: Dependency = Dependency::ReadWrite;

    fn graph(edges: &[(usize, usize, Dependency)]) -> Graph {
        let mut graph = Graph::default();
        let count = edges.iter().map(|(from, to, _)| from.max(to) + 1).max().unwrap_or(0);
        for node in 0..count {
            graph.operation(format!("T{node}"));
        }
        for (from, to, kind) in edges {
            graph.edge(*from, *to, *kind, format!("{from} then {to}"));
        }
        graph
    }

    #[test]
    fn a_cycle_is_found_and_told_by_its_shortest_way() {
        let graph = graph(&[(0, 1, WR), (1, 2, WR), (2, 0, WR), (1, 0, WR), (2, 3, WR)]);
        let cycles = graph.cycles(&[WR]);
        assert_eq!(cycles.len(), 1);
        assert_eq!(
            cycles[0].to_string(),
            "T0 comes before T1 (wr: 0 then 1); T1 comes before T0 (wr: 1 then 0): no order of \
             them explains that"
        );
    }

    #[test]
    fn only_the_kinds_that_are_asked_for_count() {
        let graph = graph(&[(0, 1, WW), (1, 0, WR), (2, 3, RW), (3, 2, WW)]);
        assert!(graph.cycles(&[WR]).is_empty());
        assert_eq!(graph.cycles(&[WW, WR]).len(), 1);
        assert_eq!(graph.cycles(&[WW, WR, RW]).len(), 2);
    }

    #[test]
    fn an_operation_that_depends_on_itself_is_a_cycle() {
        let graph = graph(&[(0, 1, WR), (1, 1, WR)]);
        assert_eq!(graph.cycles(&[WR])[0].steps.len(), 1);
    }

    #[test]
    fn a_long_chain_has_none_and_takes_no_deep_stack() {
        let edges: Vec<_> = (0..100_000).map(|node| (node, node + 1, WR)).collect();
        assert!(graph(&edges).cycles(&[WR]).is_empty());
    }
}
