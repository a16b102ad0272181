package servesql

// AppendRow is how features and outputs become text.
var AppendRow = appendRow

// Erased is the query for a subject's predictions.
const Erased = erased
