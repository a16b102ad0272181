package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// callers ask the replicas in turn, as behind a load balancer: who gets no answer
// from one asks the next.
type callers struct {
	cancel           context.CancelFunc
	work             sync.WaitGroup
	answered, failed int // theirs until work is done
}

func startCallers(addrs map[int]string) *callers {
	var urls []string
	for _, addr := range addrs {
		urls = append(urls, "http://"+addr+"/v2/models/"+model+"/infer")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &callers{cancel: cancel}
	c.work.Go(func() {
		client := &http.Client{Timeout: 2 * time.Second}
		defer client.CloseIdleConnections()
		for n := 0; ctx.Err() == nil; n++ {
			if askAny(client, urls, n) == nil {
				c.answered++
			} else {
				c.failed++
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return c
}

// stop ends the callers and returns how they fared.
func (c *callers) stop() (answered, failed int) {
	c.cancel()
	c.work.Wait()
	return c.answered, c.failed
}

func askAny(client *http.Client, urls []string, n int) error {
	var errs []error
	for i := range urls {
		err := ask(client, urls[(n+i)%len(urls)], n)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func ask(client *http.Client, url string, n int) error {
	body := fmt.Sprintf(`{"id": "call-%d", "inputs": [{"name": "visits", "datatype": "FP64", "shape": [1], "data": [%g]}]}`, n, float64(n%7)-3)
	res, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return err
}
