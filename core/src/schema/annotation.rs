//! Tables to synchronise, taken from annotated SQL as SQLiteNow schema files have it:
//! a `CREATE TABLE` under a comment `-- @@{ enableSync=true }`.

use super::table::SyncTable;

/// What is wrong with an annotation; names the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct AnnotationError {
    /// Line from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Reads the tables that a schema file marks with `enableSync=true`.
///
/// The key is `syncKeyColumnName=…` of the same annotation, or else the column that the `CREATE TABLE` marks as
/// `PRIMARY KEY`. Annotations of columns (`field=…`) and other members are left alone.
///
/// # Errors
/// An annotation with `enableSync=true` that no `CREATE TABLE` follows, or whose table has no key to be found.
pub fn annotated_tables(sql: &str) -> Result<Vec<SyncTable>, AnnotationError> {
    let mut tables = Vec::new();
    let mut scanner = Scanner { sql, position: 0 };
    let mut pending: Option<(usize, Annotation)> = None;
    while let Some(token) = scanner.next() {
        match token {
            Token::Comment(start, text) => {
                if let Some(annotation) = Annotation::parse(text).filter(|found| found.enable_sync) {
                    pending = Some((start, annotation));
                }
            }
            Token::Word(word) if word.eq_ignore_ascii_case("create") => {
                let Some((start, annotation)) = pending.take() else { continue };
                let (name, primary_key) = scanner.create_table().ok_or_else(|| AnnotationError {
                    line: line_of(sql, start),
                    reason: "enableSync=true is not followed by a CREATE TABLE; put it right above one"
                        .into(),
                })?;
                let key = annotation.key.or(primary_key).ok_or_else(|| AnnotationError {
                    line: line_of(sql, start),
                    reason: format!(
                        "table {name} names no key; add syncKeyColumnName=… or a PRIMARY KEY column"
                    ),
                })?;
                tables.push(SyncTable::new(name).key(key));
            }
            _ => {}
        }
    }
    match pending {
        Some((start, _)) => Err(AnnotationError {
            line: line_of(sql, start),
            reason: "enableSync=true is not followed by a CREATE TABLE; put it right above one".into(),
        }),
        None => Ok(tables),
    }
}

fn line_of(sql: &str, position: usize) -> usize {
    sql[..position].matches('\n').count() + 1
}

struct Annotation {
    enable_sync: bool,
    key: Option<String>,
}

impl Annotation {
    fn parse(comment: &str) -> Option<Self> {
        let (_, body) = comment.split_once("@@{")?;
        let body = body.split('}').next().unwrap_or(body);
        let member = |name: &str| {
            body.split([',', '\n']).filter_map(|pair| pair.split_once(['=', ':'])).find_map(|(key, value)| {
                let key = key.trim().trim_matches('"');
                key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
            })
        };
        let enable_sync = member("enableSync").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Some(Self { enable_sync, key: member("syncKeyColumnName") })
    }
}

enum Token<'a> {
    Comment(usize, &'a str),
    Word(&'a str),
    Quoted(String),
    Symbol(char),
}

/// Splits SQL into comments, words, quoted names and symbols: as much as finding a key needs.
struct Scanner<'a> {
    sql: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let rest = &self.sql[self.position..];
        let trimmed = rest.trim_start();
        self.position += rest.len() - trimmed.len();
        let start = self.position;
        let first = trimmed.chars().next()?;
        let (length, token) = if trimmed.starts_with("--") {
            let length = trimmed.find('\n').unwrap_or(trimmed.len());
            (length, Token::Comment(start, &trimmed[..length]))
        } else if trimmed.starts_with("/*") {
            let length = trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
            (length, Token::Comment(start, &trimmed[..length]))
        } else if matches!(first, '"' | '\'' | '`' | '[') {
            let close = if first == '[' { ']' } else { first };
            let (length, name) = quoted(trimmed, close);
            (length, Token::Quoted(name))
        } else if first.is_alphanumeric() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let length = trimmed.find(|c| !word(c)).unwrap_or(trimmed.len());
            (length, Token::Word(&trimmed[..length]))
        } else {
            (first.len_utf8(), Token::Symbol(first))
        };
        self.position += length;
        Some(token)
    }

    fn name(token: Token<'_>) -> Option<String> {
        match token {
            Token::Word(word) => Some(word.to_owned()),
            Token::Quoted(name) => Some(name),
            _ => None,
        }
    }

    /// What follows `CREATE`, up to the end of the column list: table name and the primary key column.
    fn create_table(&mut self) -> Option<(String, Option<String>)> {
        let mut name = None;
        loop {
            match self.next()? {
                Token::Symbol('(') => break,
                Token::Symbol(';') => return None,
                Token::Comment(..) | Token::Symbol(_) => {}
                Token::Word(word)
                    if name.is_none()
                        && ["temp", "temporary", "table", "if", "not", "exists"]
                            .contains(&word.to_ascii_lowercase().as_str()) => {}
                Token::Word(word)
                    if name.is_none()
                        && ["view", "index", "trigger", "unique", "virtual"]
                            .contains(&word.to_ascii_lowercase().as_str()) =>
                {
                    return None;
                }
                token => name = Self::name(token).or(name),
            }
        }
        Some((name?, self.primary_key()))
    }

    /// Reads a column list after its opening parenthesis.
    fn primary_key(&mut self) -> Option<String> {
        let mut depth = 1;
        let mut column: Option<String> = None;
        let mut previous = String::new();
        let mut key = None;
        let mut at_start = true;
        while let Some(token) = self.next() {
            match token {
                Token::Comment(..) => continue,
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => {
                    depth -= 1;
                    if depth == 0 {
                        return key;
                    }
                }
                Token::Symbol(',') if depth == 1 => {
                    at_start = true;
                    previous.clear();
                    continue;
                }
                Token::Symbol(_) => {}
                token => {
                    let bare = matches!(token, Token::Word(_));
                    let text = Self::name(token)?;
                    if at_start {
                        column = Some(text.clone());
                    } else if bare && depth == 1 && previous == "primary" && text.eq_ignore_ascii_case("key")
                    {
                        let table_constraint = column.as_deref().is_some_and(|c| {
                            c.eq_ignore_ascii_case("primary") || c.eq_ignore_ascii_case("constraint")
                        });
                        if !table_constraint {
                            key = key.or(column.clone());
                        }
                    }
                    if at_start && text.eq_ignore_ascii_case("primary") && key.is_none() {
                        key = self.table_constraint_key();
                        // The list's own parentheses are consumed.
                    }
                    previous = text.to_ascii_lowercase();
                }
            }
            at_start = false;
        }
        key
    }

    /// `KEY ( column )` of a table constraint with a single column.
    fn table_constraint_key(&mut self) -> Option<String> {
        let mut names = Vec::new();
        loop {
            match self.next()? {
                Token::Symbol(')') => break,
                Token::Word(word) if names.is_empty() && word.eq_ignore_ascii_case("key") => {}
                token => names.extend(Self::name(token)),
            }
        }
        if names.len() == 1 { names.pop() } else { None }
    }
}

fn quoted(text: &str, close: char) -> (usize, String) {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character == close {
            if characters.peek().is_some_and(|(_, next)| *next == close) {
                characters.next();
            } else {
                return (index + close.len_utf8(), name);
            }
        }
        name.push(character);
    }
    (text.len(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotated_tables_are_found_with_their_keys() {
        let sql = r#"
            -- People.
            -- @@{ enableSync=true }
            CREATE TABLE person (
                id BLOB PRIMARY KEY NOT NULL DEFAULT (randomblob(16)),
                -- @@{ field=first_name, propertyName=myFirstName }
                first_name TEXT NOT NULL
            );
            CREATE TABLE local_only (id INTEGER PRIMARY KEY);
            /* @@{ enableSync = true, syncKeyColumnName = doc_id } */
            CREATE TABLE IF NOT EXISTS "my docs" (other TEXT, doc_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
            -- @@{ enableSync=true }
            CREATE TABLE tags (a TEXT DEFAULT ','  , tag_id TEXT NOT NULL, PRIMARY KEY (tag_id));
            -- @@{ enableSync=false }
            CREATE TABLE not_me (id TEXT PRIMARY KEY);
        "#;
        let tables = annotated_tables(sql).expect("the annotations are well-formed");
        let expected = [("person", "id"), ("my docs", "doc_id"), ("tags", "tag_id")];
        assert_eq!(tables, expected.map(|(name, key)| SyncTable::new(name).key(key)));
    }

    #[test]
    fn an_annotation_without_a_table_names_its_line() {
        let error =
            annotated_tables("\n-- @@{ enableSync=true }\nCREATE VIEW v AS SELECT 1;").expect_err("no table");
        assert_eq!(error.line, 2);
        assert!(annotated_tables("-- @@{ enableSync=true }").is_err());
        assert!(annotated_tables("-- @@{ enableSync=true }\nCREATE TABLE t (a TEXT)").is_err());
    }
}
