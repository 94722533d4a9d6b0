"""The sandbox: students' code runs in it, and only plain data comes out."""
