//! Properties: what capture must leave for any statements on any schema, and that devices agree whatever
//! they do and whatever fails.
#![allow(clippy::unwrap_used)]

mod capture;
mod convergence;
