package main

import _ "testing"
