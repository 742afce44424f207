//! The features of a text from which the figures are computed, and their counts.

use super::class::Class;

macro_rules! features {
    ($($name:ident),* $(,)?) => {
        /// A feature of a text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Feature { $($name),* }

        impl Feature {
            /// Every feature, in the order of the weights.
            pub const ALL: [Self; FEATURES] = [$(Self::$name),*];
        }

        /// How many features there are.
        pub const FEATURES: usize = [$(Feature::$name),*].len();
    };
}

features! {
    // Words by their letters: runs of small letters, with the capital before them.
    Word1, Word2, Word3, Word4, Word5, Word6, Word7, Word8, Word9, Word10, Word11, Word12, Word13, Word14, Word15,
    Word16, WordBeyond,
    // Runs of capitals by their letters.
    Capitals1, Capitals2, Capitals3, Capitals4, Capitals5, Capitals6, CapitalsBeyond,
    // Letters that the two letters before them seldom have behind them; letters with accents.
    RareLetters, Accents, RareAccents,
    Digits, DigitGroups,
    // A space before a word, a digit, a symbol, and a line break or the end; more spaces than one.
    SpaceWord, SpaceDigit, SpaceSymbol, SpaceBlank, Indents, IndentSpaces, IndentBeyond,
    Tabs, TabsMore, Newline, SymbolNewline, NewlinesMore,
    // Runs of symbols, before a word or not; further symbols of a run; those that are like the one before, or often
    // stand behind it.
    Symbol, SymbolWord, SymbolsMore, SameSymbols, CommonSymbols,
    GreekRun, GreekChars, GreekRare,
    CyrillicRun, CyrillicChars, CyrillicRare,
    HebrewRun, HebrewChars, HebrewRare,
    ArabicRun, ArabicChars, ArabicRare,
    IndicRun, IndicChars, IndicRare,
    ThaiRun, ThaiChars, ThaiRare,
    KanaRun, KanaChars,
    HanRun, HanChars, HanRare,
    WideRun, WideChars,
    HangulRun, HangulChars, HangulRare,
    PrintRun, PrintChars,
    EmojiRun, EmojiChars,
    JoinerRun, JoinerChars,
    BlankRun, BlankChars,
    PartedRun, PartedChars,
    TwoRun, TwoChars,
    ThreeRun, ThreeChars,
    FourRun, FourChars,
    ControlRun, ControlChars,
    // What the lower bound counts: places where a token must begin, runs longer than tokens are, and digits.
    Starts, Stretches, DigitRuns, WordDigits,
}

impl Feature {
    /// Words of more letters count as one of this length, and their further letters by themselves.
    pub const LONGEST_WORD: u32 = 16;
    /// The same for runs of capitals.
    pub const LONGEST_CAPITALS: u32 = 6;

    /// The feature of a word of so many letters.
    pub fn word(length: u32) -> Self {
        Self::at(Self::Word1, length.clamp(1, Self::LONGEST_WORD) - 1)
    }

    /// The feature of a run of so many capitals.
    pub fn capitals(length: u32) -> Self {
        Self::at(Self::Capitals1, length.clamp(1, Self::LONGEST_CAPITALS) - 1)
    }

    /// The feature that counts runs of `class`.
    pub fn run(class: Class) -> Self {
        match class {
            Class::Greek => Self::GreekRun,
            Class::Cyrillic => Self::CyrillicRun,
            Class::Hebrew => Self::HebrewRun,
            Class::Arabic => Self::ArabicRun,
            Class::Indic => Self::IndicRun,
            Class::Thai => Self::ThaiRun,
            Class::Kana => Self::KanaRun,
            Class::Han => Self::HanRun,
            Class::Wide => Self::WideRun,
            Class::Hangul => Self::HangulRun,
            Class::Print => Self::PrintRun,
            Class::Emoji => Self::EmojiRun,
            Class::Joiner => Self::JoinerRun,
            Class::Blank => Self::BlankRun,
            Class::Parted => Self::PartedRun,
            Class::Two => Self::TwoRun,
            Class::Three => Self::ThreeRun,
            Class::Four => Self::FourRun,
            _ => Self::ControlRun,
        }
    }

    /// The feature that counts characters of `class`.
    pub fn chars(class: Class) -> Self {
        Self::at(Self::run(class), 1)
    }

    /// The feature that counts rare characters of `class`.
    pub fn rare(class: Class) -> Self {
        Self::at(Self::run(class), 2)
    }

    fn at(first: Self, offset: u32) -> Self {
        let place = (first as usize).saturating_add(offset as usize);
        Self::ALL.get(place).copied().unwrap_or(Self::ControlChars)
    }
}

/// How often each feature occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts([u32; FEATURES]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; FEATURES])
    }
}

impl Counts {
    /// Counts a feature.
    pub fn add(&mut self, feature: Feature, times: u32) {
        if let Some(count) = self.0.get_mut(feature as usize) {
            *count = count.saturating_add(times);
        }
    }

    /// How often a feature occurs.
    pub fn of(&self, feature: Feature) -> u32 {
        self.0.get(feature as usize).copied().unwrap_or(0)
    }

    /// The counts, in the order of [`Feature::ALL`].
    pub fn all(&self) -> &[u32; FEATURES] {
        &self.0
    }
}
