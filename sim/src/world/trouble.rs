//! What the network does to one message beyond the usual delay.

use std::fmt;

use super::corrupt::Flip;

/// Nothing, by default. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    pub(super) is_lost: bool,
    pub(super) resets: bool,
    /// It vanishes with all that follow; so much later both ends are told.
    pub(super) breaks: Option<u64>,
    pub(super) flip: Option<Flip>,
    /// It takes `late` longer, and what follows waits for it.
    pub(super) is_delayed: bool,
    /// It takes `late` longer, and later ones overtake it.
    pub(super) is_loose: bool,
    pub(super) late: u64,
    /// How long after it a copy arrives.
    pub(super) copy_after: Option<u64>,
}

impl Trouble {
    /// Whether nothing happens.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Trouble::default()
    }

    /// The same without what cannot happen any more to a message that is gone.
    pub(super) fn essence(self) -> Self {
        let Trouble { is_lost, resets, breaks, .. } = self;
        match (is_lost, resets, breaks) {
            (true, _, _) => Trouble { is_lost, ..Trouble::default() },
            (false, true, _) => Trouble { resets, ..Trouble::default() },
            (false, false, Some(_)) => Trouble { breaks, ..Trouble::default() },
            (false, false, None) => self,
        }
    }

    /// Reads what `Display` writes; none if it is nothing of the kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut trouble = Trouble::default();
        for word in text.split_whitespace() {
            let (name, numbers) = word.split_once(':').unwrap_or((word, ""));
            let time = || numbers.parse::<u64>().ok();
            match name {
                "lost" => trouble.is_lost = true,
                "reset" => trouble.resets = true,
                "break" => trouble.breaks = Some(time()?),
                "corrupt" => trouble.flip = Some(Flip::parse(numbers)?),
                "delay" => (trouble.is_delayed, trouble.late) = (true, time()?),
                "reorder" => (trouble.is_loose, trouble.late) = (true, time()?),
                "copy" => trouble.copy_after = Some(time()?),
                _ => return None,
            }
        }
        Some(trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.is_lost.then(|| "lost".to_string()),
            self.resets.then(|| "reset".to_string()),
            self.breaks.map(|after| format!("break:{after}")),
            self.flip.map(|flip| format!("corrupt:{flip}")),
            self.is_delayed.then(|| format!("delay:{}", self.late)),
            self.is_loose.then(|| format!("reorder:{}", self.late)),
            self.copy_after.map(|after| format!("copy:{after}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let flip = Some(Flip { chunk: 1, byte: 20, bit: 7 });
        let table = [
            (Trouble::default(), ""),
            (Trouble { is_lost: true, ..Trouble::default() }, "lost"),
            (Trouble { resets: true, ..Trouble::default() }, "reset"),
            (Trouble { breaks: Some(7), ..Trouble::default() }, "break:7"),
            (Trouble { flip, copy_after: Some(9), ..Trouble::default() }, "corrupt:1/20/7 copy:9"),
            (
                Trouble { is_delayed: true, is_loose: true, late: 5, ..Trouble::default() },
                "delay:5 reorder:5",
            ),
        ];
        for (trouble, text) in table {
            assert_eq!(trouble.to_string(), text);
            assert_eq!(Trouble::parse(text), Some(trouble));
        }
        for wrong in ["gone", "delay", "delay:x", "corrupt:1/2", "copy:-1"] {
            assert_eq!(Trouble::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_message_that_is_gone_has_no_other_trouble() {
        let copied = Trouble { is_lost: true, copy_after: Some(1), ..Trouble::default() };
        assert_eq!(copied.essence().to_string(), "lost");
        let late = Trouble { breaks: Some(7), is_delayed: true, late: 5, ..Trouble::default() };
        assert_eq!(late.essence().to_string(), "break:7");
    }
}
