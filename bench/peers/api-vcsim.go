// The simulator of govmomi under the measures of `npm run bench -- api-peers`: builds so many VMs, serves them over HTTP,
// and asks for them by govmomi's own client. Prints one line of JSON a round, each when a line comes on stdin.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	must(err)
	return n
}

func main() {
	vms, reads, powers := number(os.Args[1]), number(os.Args[2]), number(os.Args[3])
	begin := time.Now()
	model := simulator.VPX()
	model.Datacenter, model.Cluster, model.Host, model.Pool, model.App, model.Pod = 1, 0, 1, 0, 0, 0
	model.Machine = vms
	must(model.Create())
	builtMs := float64(time.Since(begin).Microseconds()) / 1000
	// The simulator waits for nothing in a power operation.
	server := model.Service.NewServer()
	ctx := context.Background()
	client, err := govmomi.NewClient(ctx, server.URL, true)
	must(err)
	list, err := find.NewFinder(client.Client, true).VirtualMachineList(ctx, "/DC0/vm/*")
	must(err)
	fmt.Printf("{\"builtMs\":%f,\"vms\":%d}\n", builtMs, len(list))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		begin = time.Now()
		for i := 0; i < reads; i++ {
			var vm mo.VirtualMachine
			must(list[i%len(list)].Properties(ctx, list[i%len(list)].Reference(), nil, &vm))
		}
		readSeconds := time.Since(begin).Seconds()
		begin = time.Now()
		for i := 0; i < powers; i++ {
			vm := list[i%len(list)]
			for _, operation := range []func(context.Context) (*object.Task, error){vm.PowerOff, vm.PowerOn} {
				task, err := operation(ctx)
				must(err)
				must(task.Wait(ctx))
			}
		}
		text, err := json.Marshal(map[string]float64{
			"readsPerSecond":  float64(reads) / readSeconds,
			"powersPerSecond": float64(2*powers) / time.Since(begin).Seconds(),
		})
		must(err)
		fmt.Println(string(text))
	}
}
