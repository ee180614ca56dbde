//! The diagram in `docs/README.md` is that of the course's second program.

#[expect(dead_code)] // its main function
#[path = "../../nn/examples/02_gradients.rs"]
mod second;

#[test]
fn the_documents_show_the_diagram_of_the_second_program() {
    let diagram = second::diagram();
    let shown = format!("```mermaid\n{diagram}```");
    assert!(include_str!("../../docs/README.md").contains(&shown), "docs/README.md does not show\n{shown}");
}
