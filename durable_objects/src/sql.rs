//! The part of SQLite that the account object uses. The object runs the same SQL text on workerd and on a native
//! SQLite in tests.

/// A value that crosses into SQL. Money and times are integers within ±(2^53 − 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
}

/// The reason why a statement failed, or why a row could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sql: {0}")]
pub struct SqlError(pub String);

/// A database with prepared parameters `?1`, `?2`, ….
pub trait Sql {
    /// Runs one statement and reads all of its rows.
    ///
    /// # Errors
    /// [`SqlError`] with the database's own message.
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError>;
}

/// A database that the account object can write to: its handle can be cloned, and it has transactions.
pub trait Transactional: Sql + Clone + 'static {
    /// Runs `write` in one transaction. An error or a panic in `write` undoes all of its statements.
    ///
    /// # Errors
    /// The error of `write`, or the database's own. A panic in `write` becomes an error too.
    fn transaction(&self, write: impl FnMut() -> Result<(), SqlError> + 'static) -> Result<(), SqlError>;
}

/// One row, read from left to right.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    /// A row with these values, from left to right.
    #[must_use]
    pub fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column as an integer.
    ///
    /// # Errors
    /// [`SqlError`] when the column is NULL, text, or missing.
    pub fn int(&mut self) -> Result<i64, SqlError> {
        self.optional_int()?.ok_or_else(|| SqlError("unexpected NULL".into()))
    }

    /// The next column as an integer or NULL.
    ///
    /// # Errors
    /// [`SqlError`] when the column is text, or missing.
    pub fn optional_int(&mut self) -> Result<Option<i64>, SqlError> {
        match self.0.next() {
            Some(Value::Int(int)) => Ok(Some(int)),
            Some(Value::Null) => Ok(None),
            other => Err(SqlError(format!("expected an integer, read {other:?}"))),
        }
    }

    /// The next column as text.
    ///
    /// # Errors
    /// [`SqlError`] when the column is NULL, an integer, or missing.
    pub fn text(&mut self) -> Result<String, SqlError> {
        self.optional_text()?.ok_or_else(|| SqlError("unexpected NULL".into()))
    }

    /// The next column as text or NULL.
    ///
    /// # Errors
    /// [`SqlError`] when the column is an integer, or missing.
    pub fn optional_text(&mut self) -> Result<Option<String>, SqlError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            other => Err(SqlError(format!("expected text, read {other:?}"))),
        }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u64> for Value {
    /// For sequence numbers and token counts. None of these exceeds `i64::MAX`, so a larger number becomes `i64::MAX`.
    fn from(int: u64) -> Self {
        Self::Int(i64::try_from(int).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
