//! Randomness from the platform, and the only caller of it here.

/// `N` random bytes.
///
/// # Errors
/// A sentence, when the platform has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| format!("no randomness: {e}"))?;
    Ok(bytes)
}
