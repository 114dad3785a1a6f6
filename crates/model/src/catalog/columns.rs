//! Columns that several tables share.

use super::{Column, Kind};

pub(super) const TIME: Column = Column::new("time", Kind::Seconds, "Start of the second, UTC.");
pub(super) const AGENT: Column = Column::new("agent", Kind::Word, "Name of the agent that saw it.").by_server();
pub(super) const OBSERVATION_POINT: Column =
    Column::new("observation_point", Kind::Word, "Where on the path between client and server it was seen.");
pub(super) const SIGNAL_SOURCE: Column = Column::new("signal_source", Kind::Word, "What produced it.");
pub(super) const CLIENT_ENTITY: Column = Column::new("client_entity", Kind::Entity, "Entity of the client side.");
pub(super) const SERVER_ENTITY: Column = Column::new("server_entity", Kind::Entity, "Entity of the server side.");
pub(super) const SERVER_PORT: Column = Column::new("server_port", Kind::U16, "Port of the server.");
pub(super) const L7_PROTOCOL: Column = Column::new("l7_protocol_str", Kind::Word, "Application protocol.");
pub(super) const ENDPOINT: Column =
    Column::new("endpoint", Kind::Word, "Clustered name of the call, for example /cart/{}.");
