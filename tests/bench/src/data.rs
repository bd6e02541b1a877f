//! The rows of all cases, as the peer's figures have them: half users, half posts of 200 characters.

use crate::case::Case;
use rowtide::{
    Client, Config, Hydrate, LocalDatabase, SqlValue, SyncTable, TokenError, TokenProvider, TokenReason,
};

/// The tables, and one that is not synchronised.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (
        id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, age INTEGER NOT NULL, updated_at TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS posts (
        id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL,
        author_id TEXT NOT NULL REFERENCES users (id), updated_at TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS posts_author ON posts (author_id);
    CREATE TABLE IF NOT EXISTS drafts (id INTEGER PRIMARY KEY, text TEXT NOT NULL);";

pub(crate) const INSERT_USER: &str =
    "INSERT INTO users (id, name, email, age, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(crate) const INSERT_POST: &str =
    "INSERT INTO posts (id, title, content, author_id, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Keys in an order that says nothing, as those of UUIDs.
pub(crate) fn key(kind: u64, number: usize) -> String {
    let mixed = (number as u64 ^ (kind << 60)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let low = mixed.rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let (a, b, c) = (mixed >> 32, (mixed >> 16) & 0xffff, mixed & 0xfff);
    format!(
        "{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:08x}{number:04x}",
        low & 0xfff,
        (low >> 16) as u32,
        number = number & 0xffff
    )
}

pub(crate) fn user(number: usize) -> Vec<SqlValue> {
    vec![
        key(1, number).into(),
        format!("User number {number}").into(),
        format!("user{number}@example.com").into(),
        SqlValue::Integer(20 + (number % 60) as i64),
        "2026-01-02T03:04:05Z".into(),
    ]
}

pub(crate) fn post(number: usize, users: usize) -> Vec<SqlValue> {
    let content: String = format!("{number} is written here. ").chars().cycle().take(200).collect();
    vec![
        key(2, number).into(),
        format!("Post number {number}").into(),
        content.into(),
        key(1, number % users.max(1)).into(),
        "2026-01-02T03:04:05Z".into(),
    ]
}

/// Inserts `rows` rows in two transactions, numbered from `first` on.
pub(crate) async fn insert(database: &LocalDatabase, first: usize, rows: usize) -> rowtide::Result<()> {
    let half = rows / 2;
    database.execute_rows(INSERT_USER, (first..first + half).map(|number| Ok(user(number)))).await?;
    let posts = (first..first + rows - half).map(move |number| Ok(post(number, first + half)));
    database.execute_rows(INSERT_POST, posts).await?;
    Ok(())
}

/// The database of a device, with the tables.
pub(crate) async fn database(case: &Case) -> rowtide::Result<LocalDatabase> {
    let database = LocalDatabase::open(case.file()).await?;
    database.execute_script(SCHEMA).await?;
    Ok(database)
}

struct SignedIn(String);

#[async_trait::async_trait]
impl TokenProvider for SignedIn {
    async fn token(&self, _: TokenReason) -> Result<String, TokenError> {
        Ok(self.0.clone())
    }
}

/// A client on a device's database.
pub(crate) async fn client(case: &Case, hydrate: Hydrate) -> rowtide::Result<Client> {
    database(case).await?.close().await;
    Client::open(config(case, hydrate)?).await
}

pub(crate) fn config(case: &Case, hydrate: Hydrate) -> rowtide::Result<Config> {
    Ok(Config::new(case.file(), &case.url, "business")?
        .table(SyncTable::new("users").key("id"))
        .table(SyncTable::new("posts").key("id"))
        .hydrate(hydrate)
        .tokens(SignedIn(case.token.clone())))
}
