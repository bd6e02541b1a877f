//! Errors of PostgreSQL: what is tried again, what is the fault of a row, and what a log may say of them.

use crate::refusal::Refusal;
use crate::store::StoreError;
use std::fmt;
use tokio_postgres::error::{DbError, SqlState};

/// A step failed, or refused.
#[derive(Debug)]
pub(super) enum PgError {
    /// A documented refusal; the transaction is rolled back.
    Refused(Refusal),
    /// PostgreSQL, or the way there.
    Database(tokio_postgres::Error),
    /// Anything else.
    Other(String),
}

pub(super) type PgResult<T> = Result<T, PgError>;

impl PgError {
    pub(super) fn pool(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::Database(error),
            other => Self::Other(format!("no connection to PostgreSQL: {other}")),
        }
    }

    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => error.as_db_error(),
            _ => None,
        }
    }

    /// Others stood in the way, and nothing was changed.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        let states = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
        ];
        self.database().is_some_and(|error| states.contains(error.code()))
    }

    /// Where a row is what PostgreSQL does not take, what stands against it: the constraint by its name, or else the
    /// column or the kind of fault.
    pub(super) fn fault_of_a_row(&self) -> Option<String> {
        let error = self.database()?;
        let code = error.code().code();
        let column = || error.column().map_or_else(String::new, |column| format!(" of column {column}"));
        match (error.constraint(), &code[..2]) {
            (Some(constraint), "23" | "22" | "44") => Some(constraint.to_owned()),
            (None, "23") if *error.code() == SqlState::NOT_NULL_VIOLATION => {
                Some(format!("NOT NULL{}", column()))
            }
            (None, "22") if *error.code() == SqlState::STRING_DATA_RIGHT_TRUNCATION => {
                Some(format!("length{}", column()))
            }
            (None, "22") => Some(format!("a value that its column does not take (SQLSTATE {code})")),
            (None, "23" | "44" | "P0") => Some(format!("a rule of the database (SQLSTATE {code})")),
            _ => None,
        }
    }

    /// A row is there twice.
    pub(super) fn is_unique_violation(&self) -> bool {
        self.database().is_some_and(|error| *error.code() == SqlState::UNIQUE_VIOLATION)
    }

    /// The foreign key that does not hold: the table that has it, and its name, which is unique there only.
    pub(super) fn broken_reference(&self) -> Option<(&str, &str)> {
        let error = self.database()?;
        let broken = *error.code() == SqlState::FOREIGN_KEY_VIOLATION;
        broken.then(|| error.table().zip(error.constraint())).flatten()
    }
}

impl fmt::Display for PgError {
    /// For the log: what PostgreSQL says of values is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(&refusal.problem.message),
            Self::Other(text) => f.write_str(text),
            Self::Database(error) => match error.as_db_error() {
                None => write!(f, "PostgreSQL: {error}"),
                Some(found) => {
                    let code = found.code().code();
                    write!(f, "PostgreSQL: SQLSTATE {code}")?;
                    if !matches!(&code[..2], "22" | "23" | "P0" | "44") {
                        write!(f, ": {}", found.message())?;
                    }
                    for (name, value) in [("table", found.table()), ("constraint", found.constraint())] {
                        if let Some(value) = value {
                            write!(f, ", {name} {value}")?;
                        }
                    }
                    Ok(())
                }
            },
        }
    }
}

impl From<Refusal> for PgError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<tokio_postgres::Error> for PgError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<PgError> for StoreError {
    fn from(error: PgError) -> Self {
        match error {
            PgError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Failed(other.to_string()),
        }
    }
}
