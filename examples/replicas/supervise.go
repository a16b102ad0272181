package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long anything may take here; a fit is a second or two.
const patience = 2 * time.Minute

// said is a line that a replica printed, or its end.
type said struct {
	replica int
	word    string // listens, answers, leads; "": it has ended
	rest    string
}

// fleet is the replicas that were started.
type fleet struct {
	out      io.Writer
	lines    chan said
	commands map[int]*exec.Cmd
	addrs    map[int]string
	ready    map[int]bool
	leader   int
	token    string
}

// supervise starts the replicas, waits until one leads and all answer, kills the
// one that leads, and tells when another has taken over and what callers saw.
func supervise(ctx context.Context, o options, out io.Writer) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	f := &fleet{out: out, lines: make(chan said, 100), commands: make(map[int]*exec.Cmd), addrs: make(map[int]string), ready: make(map[int]bool)}
	defer f.stop()
	for i := range o.replicas {
		if err := f.start(o, i+1); err != nil {
			return err
		}
	}
	if err := f.until(ctx, func() bool { return f.leader != 0 && len(f.ready) == o.replicas }); err != nil {
		return err
	}
	if err := f.killLeader(ctx); err != nil {
		return err
	}
	return f.updateLeader(ctx, o.replicas > 2)
}

// killLeader kills the one that leads while callers ask all of them, and waits
// until another leads.
func (f *fleet) killLeader(ctx context.Context) error {
	calls := startCallers(f.addrs)
	time.Sleep(time.Second)

	killed := f.leader
	fmt.Fprintf(f.out, "kill -9 of replica %d, which leads\n", killed)
	began := time.Now()
	f.leader = 0
	if err := f.commands[killed].Process.Kill(); err != nil {
		return err
	}
	if err := f.until(ctx, func() bool { return f.leader != 0 }); err != nil {
		return err
	}
	took := time.Since(began)
	time.Sleep(time.Second)
	answered, failed := calls.stop()
	fmt.Fprintf(f.out, "replica %d took over after %.1f s; callers asked %d times meanwhile and were answered %d times\n", f.leader, took.Seconds(), answered+failed, answered)
	if failed > 0 {
		return fmt.Errorf("%d calls were not answered by any replica", failed)
	}
	return nil
}

// updateLeader stops the one that leads as a rolling update does, cleanly: it
// hands the lead over at once, where another is left.
func (f *fleet) updateLeader(ctx context.Context, another bool) error {
	stopped := f.leader
	fmt.Fprintf(f.out, "SIGTERM to replica %d, which leads\n", stopped)
	began := time.Now()
	f.leader = 0
	if err := f.commands[stopped].Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if another {
		if err := f.until(ctx, func() bool { return f.leader != 0 }); err != nil {
			return err
		}
		fmt.Fprintf(f.out, "replica %d took over after %.1f s\n", f.leader, time.Since(began).Seconds())
	}
	return nil
}

// start starts a replica: this program again.
func (f *fleet) start(o options, number int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-db", o.db, "-schema", o.schema, "-replica", fmt.Sprint(number))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.commands[number] = cmd
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			f.lines <- said{number, word, rest}
		}
		f.lines <- said{replica: number}
	}()
	return nil
}

// until reads what replicas say until done. Errors: one that ended by itself, and ctx's.
func (f *fleet) until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no replica did what was waited for: %w", ctx.Err())
		case line := <-f.lines:
			if err := f.hear(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fleet) hear(line said) error {
	switch line.word {
	case "listens":
		f.addrs[line.replica] = line.rest
		fmt.Fprintf(f.out, "replica %d is process %d and listens on http://%s\n", line.replica, f.commands[line.replica].Process.Pid, line.rest)
	case "answers":
		f.ready[line.replica] = true
		fmt.Fprintf(f.out, "replica %d answers by version %s\n", line.replica, line.rest)
	case "leads":
		f.leader, f.token = line.replica, line.rest
		fmt.Fprintf(f.out, "replica %d leads, with token %s\n", line.replica, line.rest)
	case "":
		delete(f.addrs, line.replica)
		var exit *exec.ExitError
		if err := f.commands[line.replica].Wait(); errors.As(err, &exit) && !exit.Sys().(syscall.WaitStatus).Signaled() {
			return fmt.Errorf("replica %d ended: %w", line.replica, err)
		}
	}
	return nil
}

// stop ends what runs, and waits for it.
func (f *fleet) stop() {
	for _, cmd := range f.commands {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, cmd := range f.commands {
		if cmd.ProcessState == nil {
			_ = cmd.Wait()
		}
	}
}
