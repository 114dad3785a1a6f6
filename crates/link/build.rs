//! Generates the gRPC service of the control channel; the messages are plain Rust structs, so no protoc is needed.

use tonic_build::manual::{Builder, Method, Service};

fn method(name: &str, route: &str, input: &str, output: &str) -> Method {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(format!("crate::control::{input}"))
        .output_type(format!("crate::control::{output}"))
        .codec_path("tonic_prost::ProstCodec")
        .build()
}

fn main() {
    let service = Service::builder()
        .name("Control")
        .package("hadal.v1")
        .method(method("register", "Register", "RegisterRequest", "RegisterResponse"))
        .method(method("facts", "Facts", "FactsRequest", "FactsResponse"))
        .method(method("status", "Status", "StatusRequest", "StatusResponse"))
        .build();
    Builder::new().compile(&[service]);
}
