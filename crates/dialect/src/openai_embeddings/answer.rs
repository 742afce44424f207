//! An embeddings answer: its usage, and vectors in the encoding that the client asked for.
//!
//! Some upstreams know one encoding only. A vector that came in the other one is converted; one that
//! came as asked passes untouched.

use data_encoding::BASE64;

use super::wire::Encoding;
use crate::envelope::{Envelope, quoted};
use crate::openai_chat::usage;
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::tokens::Figures;

/// Reads a whole embeddings answer.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, encoding: Encoding, rewrite: &Rewrite) -> Result<Passed, NotAnAnswer> {
    let envelope = Envelope::parse(body).map_err(|_| NotAnAnswer)?;
    if envelope.present("error").is_some() {
        return Err(NotAnAnswer);
    }
    let data = envelope.array("data").ok().flatten().ok_or(NotAnAnswer)?;
    let mut edits = envelope.edit();
    rewrite.apply(&envelope, &mut edits);
    let converted: Vec<Option<String>> = data.iter().map(|item| convert(item, encoding)).collect::<Result<_, _>>()?;
    if converted.iter().any(Option::is_some) {
        let items: Vec<&str> = data.iter().zip(&converted).map(|(item, new)| new.as_deref().unwrap_or(item)).collect();
        edits.set("data", &format!("[{}]", items.join(",")));
    }
    Ok(Passed {
        // Vectors are no output that anybody counts.
        usage: envelope.present("usage").and_then(usage::parse).map(|reported| reported.usage.into()),
        body: if edits.is_empty() { body.to_owned() } else { edits.finish() },
        visible: Figures::default(),
    })
}

/// The item in `encoding`; `None` where it is already.
fn convert(item: &str, encoding: Encoding) -> Result<Option<String>, NotAnAnswer> {
    let envelope = Envelope::parse(item).map_err(|_| NotAnAnswer)?;
    let vector = envelope.present("embedding").ok_or(NotAnAnswer)?;
    let given = if vector.starts_with('"') { Encoding::Base64 } else { Encoding::Float };
    if given == encoding {
        return Ok(None);
    }
    let vector = match encoding {
        Encoding::Base64 => quoted(&to_base64(vector)?),
        Encoding::Float => to_floats(vector)?,
    };
    let mut edits = envelope.edit();
    edits.set("embedding", &vector);
    Ok(Some(edits.finish()))
}

fn to_base64(floats: &str) -> Result<String, NotAnAnswer> {
    let floats: Vec<f32> = serde_json::from_str(floats).map_err(|_| NotAnAnswer)?;
    Ok(BASE64.encode(&floats.iter().flat_map(|float| float.to_le_bytes()).collect::<Vec<u8>>()))
}

fn to_floats(base64: &str) -> Result<String, NotAnAnswer> {
    let text: String = serde_json::from_str(base64).map_err(|_| NotAnAnswer)?;
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| NotAnAnswer)?;
    let (quads, []) = bytes.as_chunks::<4>() else { return Err(NotAnAnswer) };
    let floats: Vec<f32> = quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect();
    serde_json::to_string(&floats).map_err(|_| NotAnAnswer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(vector: &str) -> String {
        format!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{vector}}}],"usage":{{"prompt_tokens":4,"total_tokens":4}}}}"#
        )
    }

    #[test]
    fn vectors_come_as_they_were_asked_for() {
        let (floats, base64) = ("[1.0,-0.5]", "\"AACAPwAAAL8=\"");
        for (given, asked, expected) in [
            (floats, Encoding::Float, floats),
            (floats, Encoding::Base64, base64),
            (base64, Encoding::Base64, base64),
            (base64, Encoding::Float, floats),
        ] {
            let read = read(&answer(given), asked, &Rewrite::default()).unwrap();
            assert_eq!(read.body, answer(expected), "{given} as {asked:?}");
            assert_eq!((read.usage.unwrap().usage.input, read.usage.unwrap().usage.output), (4, 0));
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in ["", "{}", r#"{"data":[{}]}"#, r#"{"data":[],"error":{"message":"x"}}"#, &answer("\"AAA=\"")] {
            assert_eq!(read(body, Encoding::Float, &Rewrite::default()), Err(NotAnAnswer), "{body}");
        }
    }
}
