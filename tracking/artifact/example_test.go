package artifact_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mlloop/mlloop/tracking/artifact"
)

func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "artifacts")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	files := artifact.Dir(folder)
	digest, size, err := files.Put(ctx, strings.NewReader("hello"), nil)
	fmt.Println(digest[:8], size, err)

	content, err := files.Get(ctx, digest)
	if err != nil {
		panic(err)
	}
	defer content.Close()
	text, err := io.ReadAll(content) // checks the digest
	fmt.Println(string(text), err)
	// Output:
	// 2cf24dba 5 <nil>
	// hello <nil>
}
