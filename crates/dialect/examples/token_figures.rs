//! Prints the lower bound, the estimate and the upper bound of each text on standard input, for the family that the
//! first argument names. Texts end with a NUL. `tests/token-figures/run.mjs` drives it.

use std::io::{Read as _, Write as _};

use dialect::tokens::{Figures, Vocabulary, figures};

fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let vocabulary: Vocabulary = serde_json::from_value(name.into())?;
    let mut texts = String::new();
    std::io::stdin().read_to_string(&mut texts)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for text in texts.split_terminator('\0') {
        let Figures { lower, estimate, upper } = figures(text, vocabulary);
        writeln!(out, "{lower} {estimate} {upper}")?;
    }
    out.flush()
}
