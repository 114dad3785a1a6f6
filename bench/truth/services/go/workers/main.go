// A fixed number of workers make all calls; handlers hand them over through a channel.
package main

import (
	"context"
	"errors"

	"truth/call"
)

const workers = 48

type job struct {
	run  func() error
	done chan<- error
}

var jobs = make(chan job)

func main() {
	for range workers {
		go work()
	}
	call.Serve(func(ctx context.Context, request call.Request) error {
		http := func() error { return request.HTTP(ctx) }
		return errors.Join(
			handOver(func() error { return request.Redis(ctx) }),
			handOver(http, http),
			handOver(func() error { return request.SQL(ctx) }),
		)
	})
}

func work() {
	for job := range jobs {
		job.done <- job.run()
	}
}

// Waits for all of them.
func handOver(runs ...func() error) error {
	done := make(chan error, len(runs))
	for _, run := range runs {
		jobs <- job{run, done}
	}
	var failed error
	for range runs {
		failed = errors.Join(failed, <-done)
	}
	return failed
}
