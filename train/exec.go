package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// The environment variables that tell a command its files.
const (
	EnvData   = "MLLOOP_DATA"   // the rows, CSV with a header, null as the empty field
	EnvJob    = "MLLOOP_JOB"    // the job, JSON
	EnvBundle = "MLLOOP_BUNDLE" // the folder to write; it does not exist yet, its parent does
)

// jobFormat is the version of the job's JSON.
const jobFormat = 1

// outputTail is how many bytes of a failed command's output its error keeps.
const outputTail = 4 << 10

// Command is a Trainer that runs another program. It is safe for concurrent use.
type Command struct {
	Name string   // found as os/exec finds it
	Args []string // without the name
	Dir  string   // where it runs; "": this process's directory
	Env  []string // "KEY=value", added to this process's environment
}

// Exec returns a Trainer that runs a command, such as
//
//	train.Exec("python", "fit.py")
//
// See Command.Fit for what the command is given and has to leave.
func Exec(name string, args ...string) Command { return Command{Name: name, Args: args} }

// commandJob is what the command reads of the job.
type commandJob struct {
	Format        int              `json:"format"`
	Columns       frame.Schema     `json:"columns"` // of the CSV, in its order
	Label         string           `json:"label"`
	Inputs        []string         `json:"inputs"`
	Features      feature.Pipeline `json:"features"`
	Seed          uint64           `json:"seed"`
	Now           time.Time        `json:"now"`
	Rows          int              `json:"rows"`
	DataDigest    string           `json:"data_digest"`
	ProfileWindow int              `json:"profile_window"`
	Procs         int              `json:"procs"` // how many processors it may use
}

// Fit runs the command with the job's rows as CSV in the file $MLLOOP_DATA, the
// rest of the job as JSON in $MLLOOP_JOB, and the path of a folder in
// $MLLOOP_BUNDLE that the command makes: a bundle as registry/bundle describes
// it. Its output is not kept, but for the last 4 KiB, which an error quotes. The
// command is killed when ctx ends; the files are removed afterwards.
//
// The job says as procs how many processors the command may use (Job.Procs), and
// OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, MKL_NUM_THREADS, NUMEXPR_NUM_THREADS and
// GOMAXPROCS are set to that number, which numeric libraries of Python, R and
// Julia heed. Env can set them otherwise.
//
// Errors: Invalid for what Check finds, for a job that is incomplete, and for a command that exits
// with 0 but leaves no bundle; Unavailable for a command that cannot be started
// or that fails; those of bundle.OpenDir for a bundle that does not hold
// together; ctx's error.
func (c Command) Fit(ctx context.Context, job Job) (*bundle.Bundle, error) {
	b, err := c.fit(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("train: exec %s: %w", c.Name, err)
	}
	return b, nil
}

// Check reports everything that is wrong with the command, in one Invalid error,
// without starting it. Fit does so too.
func (c Command) Check() error {
	if err := c.check(); err != nil {
		return fmt.Errorf("train: exec: %w", err)
	}
	return nil
}

func (c Command) check() error {
	var problems fault.Problems
	if c.Name == "" {
		problems.Addf("Name is empty: name the program to run")
	}
	for _, text := range append([]string{c.Name, c.Dir}, c.Args...) {
		if strings.ContainsRune(text, 0) {
			problems.Addf("%q in Name, Dir or Args: want no zero byte", text)
		}
	}
	for _, e := range c.Env {
		if key, _, ok := strings.Cut(e, "="); !ok || key == "" || strings.ContainsRune(e, 0) {
			problems.Addf("Env has %q, want KEY=value", e)
		}
	}
	return problems.Err()
}

// threadLimits are the variables by which numeric libraries and Go programs take
// the number of threads they start.
var threadLimits = [...]string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "GOMAXPROCS"}

// environment is this process's, with the limit on threads, with the command's own.
func (c Command) environment(procs int) []string {
	env := os.Environ()
	for _, name := range threadLimits {
		env = append(env, name+"="+strconv.Itoa(procs))
	}
	return append(env, c.Env...)
}

func (c Command) fit(ctx context.Context, job Job) (*bundle.Bundle, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := job.check(); err != nil {
		return nil, err
	}
	logJob(job, map[string]string{"trainer": "exec", "command": strings.Join(append([]string{c.Name}, c.Args...), " ")})
	dir, err := os.MkdirTemp("", "mlloop-fit-")
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "make a folder for the job: %w", err)
	}
	defer os.RemoveAll(dir)
	data, description, out := filepath.Join(dir, "data.csv"), filepath.Join(dir, "job.json"), filepath.Join(dir, "bundle")
	if err := writeData(data, job.Data); err != nil {
		return nil, err
	}
	if err := writeJob(description, job); err != nil {
		return nil, err
	}
	env := append(c.environment(job.MaxProcs()), EnvData+"="+data, EnvJob+"="+description, EnvBundle+"="+out)
	if err := c.run(ctx, env); err != nil {
		return nil, err
	}
	b, err := bundle.OpenDir(out)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.Errorf(fault.Invalid, "the command left no bundle in the folder $%s: %v", EnvBundle, err)
	}
	if err != nil {
		return nil, err
	}
	return b.InMemory(ctx) // the folder goes away
}

func (c Command) run(ctx context.Context, env []string) error {
	var output tail
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = &output, &output
	// A child of the command may hold its output open after it was killed.
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case output.total == 0:
		return fault.Errorf(fault.Unavailable, "%w", err)
	}
	return fault.Errorf(fault.Unavailable, "%w; its output ends with:\n%s", err, output.String())
}

func writeData(path string, t *frame.Table) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "write the rows: %w", err)
	}
	if err := errors.Join(t.WriteCSV(f, nil), f.Close()); err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	return nil
}

func writeJob(path string, job Job) error {
	data, err := json.MarshalIndent(commandJob{
		Format: jobFormat, Columns: job.Data.Schema(), Label: job.Label, Inputs: job.columns(),
		Features: append(feature.Pipeline{}, job.Features...), Seed: job.Seed, Now: job.Now.UTC(),
		Rows: job.Data.NumRows(), DataDigest: job.Data.Digest(), ProfileWindow: job.profileWindow(),
		Procs: job.MaxProcs(),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the job: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fault.Errorf(fault.Unavailable, "write the job: %w", err)
	}
	return nil
}

// tail is a writer that remembers the end of what it is given.
type tail struct {
	kept  []byte
	total int64
}

func (t *tail) Write(p []byte) (int, error) {
	t.total += int64(len(p))
	t.kept = append(t.kept, p[max(0, len(p)-outputTail):]...)
	if extra := len(t.kept) - outputTail; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// String returns the end of the text, with "…" before it when it was cut.
func (t *tail) String() string {
	text := strings.ToValidUTF8(strings.TrimSpace(string(t.kept)), "�")
	if t.total > int64(len(t.kept)) {
		return "…" + text
	}
	return text
}
