//! Why a provider rejected a request, read from its body in any dialect, and told in our own words.
//!
//! Clients recover from some rejections, and know them by words: those of our sentences are the words
//! that they look for. Nothing of the provider's own text is repeated.
