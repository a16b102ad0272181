package artifactsql_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "artifacts")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	files, err := artifactsql.Open(ctx, "sqlite:"+filepath.Join(folder, "loop.db"), nil) // or "postgres://…"
	if err != nil {
		panic(err)
	}
	defer files.Close()

	digest, size, err := files.Put(ctx, strings.NewReader("hello, world"), nil)
	fmt.Println(digest[:8], size, err)
	part, err := files.GetRange(ctx, digest, 7, -1)
	if err != nil {
		panic(err)
	}
	defer part.Close()
	text, err := io.ReadAll(part)
	fmt.Println(string(text), err)
	// Output:
	// 09ca7e4e 12 <nil>
	// world <nil>
}
