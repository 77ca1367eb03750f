"""What checks have found: for a terminal, and as JSON, JUnit and SARIF."""
