//! What Thalweg promises, one file each: the real binaries, a broker and a Redis, good days and bad.

mod bad_input;
