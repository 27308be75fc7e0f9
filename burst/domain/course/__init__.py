"""Courses: acts in their order that outlive a process: the journal of a course, and campaigns of phases."""
