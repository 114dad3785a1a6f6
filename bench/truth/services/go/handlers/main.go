// A goroutine per request, which makes its calls itself, or with `parallel` two at once on goroutines that it starts.
package main

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"

	"truth/call"
)

func main() {
	calls := sequential
	if len(os.Args) > 1 && os.Args[1] == "parallel" {
		calls = parallel
	}
	call.Serve(func(ctx context.Context, request call.Request) error {
		if err := request.Redis(ctx); err != nil {
			return err
		}
		if err := calls(ctx, request); err != nil {
			return err
		}
		return request.SQL(ctx)
	})
}

func sequential(ctx context.Context, request call.Request) error {
	if err := request.HTTP(ctx); err != nil {
		return err
	}
	return request.HTTP(ctx)
}

func parallel(ctx context.Context, request call.Request) error {
	group, ctx := errgroup.WithContext(ctx)
	for range 2 {
		group.Go(func() error { return request.HTTP(ctx) })
	}
	return group.Wait()
}
