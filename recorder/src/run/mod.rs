//! `run`: one command with a private, traced view of its directories. Three processes: the launcher (this one, the
//! command's parent), the recorder (serves the view, outlives the launcher), and the command. See `words`.

mod command;
mod cover;
mod hidden;
mod keeper;
mod launcher;
mod members;
mod namespace;
mod plan;
mod recorder;
mod running;
mod sampler;
mod signals;
mod words;

pub use launcher::run;
pub use namespace::user_namespaces_work;
pub use signals::end_like;
pub use words::Facts;
