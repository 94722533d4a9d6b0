"""An example class, with right, wrong, broken and hostile submissions, to try the grader on."""
