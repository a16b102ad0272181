package model

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// The largest block handed to gonum's Sgemm. It starts goroutines from four
// 64×64 blocks of the result on; at most three keep it on this one, which is
// quicker for small layers and leaves concurrency to the caller.
const (
	blockRows    = 64
	blockColumns = 3 * 64
)

// narrow is the number of outputs below which plain loops beat Sgemm, whose
// inner loop runs along the outputs.
const narrow = 8

// addProduct computes c += a·b for a m×k, b k×n and c m×n. Each element is
// summed in the order of k whatever m is, so that a row alone and the same row
// in a batch give the same result.
func addProduct(c, a, b []float32, m, k, n int) {
	if m == 0 || n == 0 || k == 0 {
		return
	}
	if n < narrow {
		addNarrowProduct(c, a, b, m, k, n)
		return
	}
	var impl gonum.Implementation
	for i := 0; i < m; i += blockRows {
		rows := min(blockRows, m-i)
		for j := 0; j < n; j += blockColumns {
			columns := min(blockColumns, n-j)
			impl.Sgemm(blas.NoTrans, blas.NoTrans, rows, columns, k, 1, a[i*k:], k, b[j:], n, 1, c[i*n+j:], n)
		}
	}
}

// addNarrowProduct is addProduct with the sums held in registers, two rows at
// a time because one sum alone would wait for its own additions.
func addNarrowProduct(c, a, b []float32, m, k, n int) {
	i := 0
	for ; i+2 <= m; i += 2 {
		a0, a1 := a[i*k:(i+1)*k], a[(i+1)*k:(i+2)*k]
		for j := range n {
			s0, s1 := c[i*n+j], c[(i+1)*n+j]
			for l, p := 0, j; l < len(a0) && l < len(a1) && p < len(b); l, p = l+1, p+n {
				s0 += a0[l] * b[p]
				s1 += a1[l] * b[p]
			}
			c[i*n+j], c[(i+1)*n+j] = s0, s1
		}
	}
	for ; i < m; i++ {
		row := a[i*k : (i+1)*k]
		for j := range n {
			s := c[i*n+j]
			for l, p := 0, j; l < len(row) && p < len(b); l, p = l+1, p+n {
				s += row[l] * b[p]
			}
			c[i*n+j] = s
		}
	}
}
