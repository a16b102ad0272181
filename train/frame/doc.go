// Package frame holds data the way the loop passes it on: Table for data sets
// (Arrow record batches), Row and Tensor for the request path.
package frame
