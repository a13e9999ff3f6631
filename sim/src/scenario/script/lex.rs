//! Words and signs of a script line, and a cursor over them.

/// A word or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Letters, digits and `_ . $ / - :` inside; names, numbers, durations.
    Word(String),
    /// One of `-> <-> == != >= <= > < ( ) [ ] , + =`.
    Sign(&'static str),
}

const SIGNS: [&str; 15] =
    ["<->", "->", "==", "!=", ">=", "<=", ">", "<", "(", ")", "[", "]", ",", "+", "="];

/// Splits a line.
///
/// # Errors
/// The character that belongs nowhere.
pub fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if is_word(first) || first == '-' {
            let end = word_end(rest);
            tokens.push(Token::Word(rest[..end].to_string()));
            rest = &rest[end..];
        } else {
            return Err(format!("{first:?} belongs nowhere"));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | '/' | ':')
}

/// A dash belongs to a word unless it begins an arrow.
fn word_end(text: &str) -> usize {
    let mut end = 0;
    for (index, c) in text.char_indices() {
        let dash = c == '-' && !text[index..].starts_with("->");
        if !is_word(c) && !dash {
            break;
        }
        end = index + c.len_utf8();
    }
    end
}

/// Reads tokens one by one.
pub struct Cursor {
    tokens: Vec<Token>,
    at: usize,
}

impl Cursor {
    /// # Errors
    /// As [`tokens`].
    pub fn new(line: &str) -> Result<Self, String> {
        Ok(Cursor { tokens: tokens(line)?, at: 0 })
    }

    #[must_use]
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    #[must_use]
    pub fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The next word, if a word is next.
    pub fn word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }

    /// The next word.
    ///
    /// # Errors
    /// `expected`, if something else is next.
    pub fn expect_word(&mut self, expected: &str) -> Result<String, String> {
        self.word().ok_or_else(|| self.expected(expected))
    }

    /// Whether this sign is next; takes it.
    pub fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(found);
        found
    }

    /// # Errors
    /// If another sign or a word is next.
    pub fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("{sign:?}"))) }
    }

    /// Whether this very word is next; takes it.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.at += usize::from(found);
        found
    }

    /// Goes one token back.
    pub fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// # Errors
    /// If something is left.
    pub fn end(&self) -> Result<(), String> {
        if self.at_end() { Ok(()) } else { Err(self.expected("nothing more")) }
    }

    /// "expected X, found Y".
    #[must_use]
    pub fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(Token::Word(word)) => format!("expected {what}, found {word:?}"),
            Some(Token::Sign(sign)) => format!("expected {what}, found {sign:?}"),
            None => format!("expected {what} at the end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_join_words_and_arrows_part_them() {
        let word = |text: &str| Token::Word(text.into());
        assert_eq!(
            tokens("cut b1->b2 my-topic-0 >= -1").unwrap(),
            vec![
                word("cut"),
                word("b1"),
                Token::Sign("->"),
                word("b2"),
                word("my-topic-0"),
                Token::Sign(">="),
                word("-1"),
            ]
        );
        assert_eq!(tokens("a ; b"), Err("';' belongs nowhere".into()));
    }
}
