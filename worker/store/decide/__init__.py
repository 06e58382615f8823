"""Pure decisions about versions, identity and rows of articles. No I/O."""
