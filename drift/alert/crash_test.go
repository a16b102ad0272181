package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/fault"
)

func TestMain(m *testing.M) { crashtest.Main(m, deliverInChild) }

const crashMessages = 20

// folderCursors keeps cursors in files, and waits before it saves the sender's
// cursor at the number stop: a message has been sent then that no cursor knows of.
type folderCursors struct {
	folder string
	stop   int64
}

func (c folderCursors) Load(_ context.Context, sender string) (cur alert.Cursor, err error) {
	b, err := os.ReadFile(filepath.Join(c.folder, sender+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return cur, fault.Errorf(fault.NotFound, "no cursor")
	}
	if err == nil {
		err = json.Unmarshal(b, &cur)
	}
	return cur, err
}

func (c folderCursors) Save(_ context.Context, sender string, cur alert.Cursor) error {
	if cur.Seq == c.stop {
		fmt.Println("sent", cur.Seq)
		time.Sleep(time.Minute) // and is killed
	}
	b, err := json.Marshal(cur)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(atomicfile.OS(), filepath.Join(c.folder, sender+".json"), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// deliverInChild delivers to a file. Its argument is the folder and the number to
// be killed at.
func deliverInChild(ctx context.Context, arg string) error {
	folder, at, _ := strings.Cut(arg, "|")
	var stop int64
	if _, err := fmt.Sscan(at, &stop); err != nil {
		return err
	}
	received, err := os.OpenFile(filepath.Join(folder, "received"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	feed := func(_ context.Context, after int64, limit int) (page []alert.Numbered, err error) {
		for seq := after + 1; seq <= crashMessages && len(page) < limit; seq++ {
			page = append(page, alert.Numbered{Seq: seq, Message: alert.Message{ID: fmt.Sprint(seq), Kind: "promoted", Time: time.Now()}})
		}
		return page, nil
	}
	sender := alert.Func("file", func(_ context.Context, m alert.Message) error {
		_, err := fmt.Fprintln(received, m.ID)
		return err
	})
	c, err := alert.NewCourier(feed, folderCursors{folder, stop}, []alert.Sender{sender}, nil)
	if err != nil {
		return err
	}
	return errors.Join(c.Deliver(ctx, time.Now()), received.Close())
}

// A process that is killed after a message was sent, and before that was noted,
// sends it again in its next life, and no message is left out.
func TestKillBetweenSendAndSave(t *testing.T) {
	folder := t.TempDir()
	want := ""
	for seq, kill := 1, []int{1, 7, 7, 20}; seq <= crashMessages; seq++ {
		for ; len(kill) > 0 && kill[0] == seq; kill = kill[1:] {
			crashtest.Kill(t, fmt.Sprintf("%s|%d", folder, seq), func(line string) bool { return line == fmt.Sprint("sent ", seq) })
			want += fmt.Sprintln(seq)
		}
		want += fmt.Sprintln(seq)
	}
	require.NoError(t, crashtest.Command(t, folder+"|-1").Run())
	got, err := os.ReadFile(filepath.Join(folder, "received"))
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	require.NoError(t, crashtest.Command(t, folder+"|-1").Run())
	again, err := os.ReadFile(filepath.Join(folder, "received"))
	require.NoError(t, err)
	require.Equal(t, want, string(again), "and nothing more than once after that")
}
