package main

import _ "example.com/tree/tracking"
