//! SPDX licence expressions, as far as crates use them.

/// Whether a licence expression can be met with the allowed licences alone.
///
/// `OR` gives a choice, `AND` binds tighter, `/` is the old way to write `OR`, and
/// `X WITH Y` is a licence of its own name.
pub fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let met = reader.choice();
    met && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    fn choice(&mut self) -> bool {
        let mut met = self.conjunction();
        while self.take("OR") {
            met |= self.conjunction();
        }
        met
    }

    fn conjunction(&mut self) -> bool {
        let mut met = self.term();
        while self.take("AND") {
            met &= self.term();
        }
        met
    }

    fn term(&mut self) -> bool {
        if self.take("(") {
            let met = self.choice();
            return self.take(")") && met;
        }
        let Some((&name, rest)) = self.words.split_first() else {
            return false;
        };
        self.words = rest;
        let mut name = name.to_owned();
        if self.take("WITH")
            && let Some((exception, rest)) = self.words.split_first()
        {
            name = format!("{name} WITH {exception}");
            self.words = rest;
        }
        self.allowed.contains(&name)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn a_licence_is_met_by_choice_and_conjunction() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
            ("GPL-3.0 OR ISC AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
