// Package feature turns rows into the numbers a model reads: a Pipeline is
// fitted on training rows, and the Fitted travels with the model, so that
// training and serving cannot differ.
//
//	p := feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan", "region")}
//	fitted, err := p.Fit(train, []string{"age", "plan", "region"})
//	x, err := fitted.Transform(later)      // a float32 matrix, one row a row
//	err = fitted.TransformRow(dst, row)    // the same numbers, without allocating
//	part, err := fitted.Marshal()          // JSON; feature.Decode reads it
//
// A pipeline is data: which step does what to which columns. Steps work in the
// order listed, on each column by itself. What a step learns (a median, a
// mean, the categories) it learns from the rows given to Fit and from no other.
//
// # What reaches the model
//
// The inputs keep their order. A numeric or Bool column gives one number, as
// float32; a one-hot encoded column one number for each category. A String
// column that no OneHot names is an error, and so is a Time column that no
// step names: as it stands it would tell a model little but when the row was
// seen.
//
// # Missing values
//
// Null and NaN alike are missing. Impute fills them; without it a missing
// value is an error that names the column. An infinite value is always an
// error.
package feature
