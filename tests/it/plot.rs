use crate::support::TestContext;
