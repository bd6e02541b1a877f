//! Finding the rows that a server refuses without naming them: the bundle is halved along what belongs together
//! until the culprit stands alone, and everything else goes through meanwhile (design D6).

use super::engine::{CONFLICT_ROUNDS, Engine};
use super::push::{Patience, Pushed, RowsRefused};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::storage::closure::{self, RowKey};
use crate::storage::refused_rows::{Refusal, RefusedReason};
use crate::storage::{attachment, dirty_rows, stage};

/// Runs in which the server takes nothing at all before its only candidate is refused without further proof.
const UNPROVEN_RUNS: i64 = 3;
/// Groups that may be refused alone before anything goes through; beyond that the server is blamed.
const UNPROVEN_SUSPECTS: usize = 8;

type Group = Vec<RowKey>;

/// A group that was refused alone.
struct Suspect {
    group: Vec<Group>,
    refused: Box<RowsRefused>,
}

enum Part {
    Committed,
    Refused(Box<RowsRefused>),
}

impl Engine {
    /// Moves the rows that the server refuses to the inbox. An error where it may be the server that fails:
    /// everything is pending then.
    pub(super) async fn isolate(&self, refused: RowsRefused, report: &mut Report) -> Result<()> {
        if let Some(culprit) = self.named_row(&refused)? {
            return self.refuse_rows(vec![culprit], &refused).await;
        }
        let result = self.search(refused, report).await;
        self.select(Vec::new()).await?;
        result
    }

    async fn search(&self, refused: RowsRefused, report: &mut Report) -> Result<()> {
        let schema = self.schema.clone();
        let groups = self
            .database
            .transaction(move |transaction| {
                dirty_rows::coalesce(transaction)?;
                closure::groups(transaction, &schema)
            })
            .await?;
        let alone = groups.len() <= 1;
        let mut suspects: Vec<Suspect> = Vec::new();
        let mut progress = false;
        let (mut part, mut refused) = (groups, Box::new(refused));
        let mut waiting: Vec<Vec<Group>> = Vec::new();
        loop {
            match part.len() {
                0 => {}
                1 => suspects.push(self.suspect(part, refused, &mut waiting).await?),
                parts => {
                    let second = part.split_off(parts / 2);
                    waiting.push(second);
                    waiting.push(part);
                }
            }
            if !progress && suspects.len() > UNPROVEN_SUSPECTS {
                break;
            }
            (part, refused) = loop {
                let Some(next) = waiting.pop() else {
                    return self.judge(suspects, alone, progress, report).await;
                };
                match self.push_part(&next, report).await? {
                    Part::Committed => progress = true,
                    Part::Refused(refused) => break (next, refused),
                }
            };
        }
        // Nothing goes through: more likely the server than the rows.
        Err(suspects.remove(0).refused.error)
    }

    /// A group that was refused alone. What depends on it is not tried: a server without foreign keys would take
    /// rows whose parent it lacks.
    async fn suspect(
        &self,
        group: Vec<Group>,
        refused: Box<RowsRefused>,
        waiting: &mut Vec<Vec<Group>>,
    ) -> Result<Suspect> {
        let (schema, rows) = (self.schema.clone(), group.concat());
        let held =
            self.database.read(move |connection| closure::companions(connection, &schema, &rows)).await?;
        for part in waiting.iter_mut() {
            part.retain(|group| !group.iter().any(|row| held.contains(row)));
        }
        waiting.retain(|part| !part.is_empty());
        Ok(Suspect { group, refused })
    }

    /// Tries every suspect once more, with everything else at the server, and refuses those that fail again.
    async fn judge(
        &self,
        suspects: Vec<Suspect>,
        alone: bool,
        progress: bool,
        report: &mut Report,
    ) -> Result<()> {
        if !progress && suspects.len() > 1 {
            let first = suspects.into_iter().next().expect("there is more than one");
            return Err(first.refused.error);
        }
        for Suspect { group, refused } in suspects {
            let again = if alone { Part::Refused(refused) } else { self.push_part(&group, report).await? };
            // What waited for it goes up with the next bundle.
            let Part::Refused(refused) = again else { continue };
            if !progress && !refused.definite {
                let runs = self.database.transaction(attachment::count_failed_commit).await?;
                if runs < UNPROVEN_RUNS {
                    return Err(refused.error);
                }
            }
            self.refuse_rows(group.concat(), &refused).await?;
        }
        Ok(())
    }

    /// Uploads some groups alone.
    async fn push_part(&self, part: &[Group], report: &mut Report) -> Result<Part> {
        for _ in 0..CONFLICT_ROUNDS {
            self.select(part.to_vec()).await?;
            let Some((outbox, _)) = self.freeze().await? else { return Ok(Part::Committed) };
            match self.push_outbox(outbox, Patience::Once, report).await? {
                Pushed::Committed => return Ok(Part::Committed),
                Pushed::RowsRefused(refused) => {
                    let Some(culprit) = self.named_row(&refused)? else { return Ok(Part::Refused(refused)) };
                    self.refuse_rows(vec![culprit], &refused).await?;
                }
                Pushed::SourceReplaced => self.finish_operation(report).await?,
                Pushed::Conflict(conflict) => self.rebase(*conflict, report).await?,
            }
        }
        Err(super::engine::conflicts_remain())
    }

    async fn select(&self, groups: Vec<Group>) -> Result<()> {
        Ok(self.database.transaction(move |transaction| closure::select(transaction, &groups)).await?)
    }

    fn named_row(&self, refused: &RowsRefused) -> Result<Option<RowKey>> {
        let Some(target) = &refused.named else { return Ok(None) };
        let (table, key) =
            stage::locate(&self.schema, &target.schema, &target.table, &target.key).map_err(Error::from)?;
        Ok(Some((table.id, key)))
    }

    async fn refuse_rows(&self, culprits: Vec<RowKey>, refused: &RowsRefused) -> Result<()> {
        let message = match &refused.named {
            Some(target) => format!("the server refuses the row: {}", target.constraint),
            None => format!("the server refuses the row and does not say why ({})", refused.error),
        };
        log::warn!(
            "{} rows that the server refuses go to the inbox, with what belongs to them",
            culprits.len()
        );
        let (schema, now_ms) = (self.schema.clone(), self.now_ms());
        self.database
            .transaction(move |transaction| {
                dirty_rows::coalesce(transaction)?;
                let refusal = Refusal { reason: RefusedReason::ServerRefused, message: &message };
                closure::refuse(transaction, &schema, &culprits, refusal, now_ms)
            })
            .await?;
        Ok(())
    }
}
