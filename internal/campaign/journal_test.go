package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// journal is a file to which all processes append what their workflows do, in
// the order in which they do it. A line is an act, a process, and a step.
type journal struct {
	path string
	pid  int
}

// The acts.
const (
	actBegan    = "began"    // the step's function was called
	actEnded    = "ended"    // it returned
	actRecorded = "recorded" // the engine said that its result is stored
	actDied     = "died"     // the process is gone
)

func (j journal) write(act, step string) error {
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, act, j.pid, step) // one write: lines of several processes do not mix
	return errors.Join(err, f.Close())
}

// journalledEngine writes the steps of every workflow to the journal. The step
// named renamed has, in release 2, another name: what a new release may do.
type journalledEngine struct {
	retrain.Engine
	journal journal
	release int
}

const renamed = "register"

// stepTime is what each step takes at least, so that kills find some under way.
const stepTime = 400 * time.Millisecond

func (e journalledEngine) Register(name string, w retrain.Workflow) error {
	return e.Engine.Register(name, func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		return w(ctx, journalledSteps{steps, e, name + string(input)}, input)
	})
}

type journalledSteps struct {
	retrain.Steps
	engine   journalledEngine
	workflow string
}

func (s journalledSteps) Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error), o *retrain.StepOptions) ([]byte, error) {
	if name == renamed && s.engine.release == 2 {
		name += "-2"
	}
	j, step := s.engine.journal, strings.ReplaceAll(s.workflow, " ", "")+"/"+name
	out, err := s.Steps.Do(ctx, name, func(ctx context.Context) ([]byte, error) {
		if err := j.write(actBegan, step); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(stepTime):
		}
		out, err := fn(ctx)
		return out, errors.Join(err, j.write(actEnded, step))
	}, o)
	if err == nil {
		err = j.write(actRecorded, step)
	}
	return out, err
}

// journalFaults returns what the lines show that must not be: a step that began
// after it had been recorded, or in one process while it ran in another.
func journalFaults(lines []string) (faults []string, steps int) {
	recorded := make(map[string]bool)
	running := make(map[string]string) // step -> process
	for n, line := range lines {
		var act, pid, step string
		if _, err := fmt.Sscan(line, &act, &pid, &step); err != nil && act != actDied {
			faults = append(faults, fmt.Sprintf("line %d is no line of a journal: %q", n+1, line))
			continue
		}
		switch act {
		case actBegan:
			steps++
			if recorded[step] {
				faults = append(faults, fmt.Sprintf("line %d: %s was recorded, and %s runs it again", n+1, step, pid))
			}
			if other := running[step]; other != "" && other != pid {
				faults = append(faults, fmt.Sprintf("line %d: %s runs in %s, and %s runs it too", n+1, step, other, pid))
			}
			running[step] = pid
		case actEnded:
			delete(running, step)
		case actRecorded:
			recorded[step] = true
		case actDied:
			for s, owner := range running {
				if owner == pid {
					delete(running, s)
				}
			}
		}
	}
	return faults, steps
}

func TestJournalFaults(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		faults      int
	}{
		{"as it should be", "began 1 a/x;ended 1 a/x;recorded 1 a/x;began 1 a/y;died 1;began 2 a/y;ended 2 a/y;recorded 2 a/y", 0},
		{"not recorded before its process died", "began 1 a/x;ended 1 a/x;died 1;began 2 a/x", 0},
		{"read again", "began 1 a/x;ended 1 a/x;recorded 1 a/x;died 1;recorded 2 a/x", 0},
		{"recorded and run again", "began 1 a/x;ended 1 a/x;recorded 1 a/x;died 1;began 2 a/x", 1},
		{"run by two", "began 1 a/x;began 2 a/x", 1},
		{"another's death", "began 1 a/x;died 3;began 2 a/x", 1},
		{"no journal", "nothing", 1},
	} {
		faults, _ := journalFaults(strings.Split(c.lines, ";"))
		require.Len(t, faults, c.faults, c.name)
	}
}
