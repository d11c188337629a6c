"""The queueing model of `npm run bench -- queueing` under SimPy: customers that think and are served, a station of
servers with one queue. Prints how many services were done and the CPU seconds it took."""
import sys
import time
from SimPy.Simulation import Process, Resource, Simulation, hold, release, request

servers, customers, service_us, think_us, until_us = (int(word) for word in sys.argv[1:6])
done = 0


class Customer(Process):
    def live(self, station, offset):
        global done
        yield hold, self, offset
        while True:
            yield hold, self, think_us
            yield request, self, station
            yield hold, self, service_us
            yield release, self, station
            done += 1


simulation = Simulation()
simulation.initialize()
station = Resource(capacity=servers, sim=simulation)
for number in range(customers):
    customer = Customer(sim=simulation)
    simulation.activate(customer, customer.live(station, number))
begin = time.process_time()
simulation.simulate(until=until_us)
print(done, time.process_time() - begin)
