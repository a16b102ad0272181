package servesql

// AppendRow is how features and outputs become text.
var AppendRow = appendRow
