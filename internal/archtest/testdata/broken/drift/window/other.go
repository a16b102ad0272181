package windows

// This file is longer than the test's limit.
//
//
//
//
//
//
