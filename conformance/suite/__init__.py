"""The suite itself: clauses, cases, messages, the run, the verdict, where the first difference arises."""
