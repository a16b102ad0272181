// Package judge holds the statistics by which a challenger is judged, apart
// from the machine that acts on them.
package judge
