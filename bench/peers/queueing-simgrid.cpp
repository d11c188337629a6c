// The queueing model of `npm run bench -- queueing` under SimGrid: customers that think and are served, a station of
// servers with one queue. Prints how many services were done and the CPU seconds it took.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <simgrid/s4u.hpp>

namespace sg4 = simgrid::s4u;

static long done = 0;

int main(int argc, char* argv[])
{
  sg4::Engine engine(&argc, argv);
  if (argc < 6)
    return 2;
  const int servers      = std::atoi(argv[1]);
  const int customers    = std::atoi(argv[2]);
  const double service_s = std::atof(argv[3]) * 1e-6;
  const double think_s   = std::atof(argv[4]) * 1e-6;
  const double until_s   = std::atof(argv[5]) * 1e-6;
  auto* zone             = sg4::create_full_zone("zone");
  auto* host             = zone->create_host("station", 1e9);
  zone->seal();
  auto station = sg4::Semaphore::create(servers);
  for (int number = 0; number < customers; number++) {
    auto customer = sg4::Actor::create("customer", host, [=]() {
      sg4::this_actor::sleep_for((number + 1) * 1e-6);
      for (;;) {
        sg4::this_actor::sleep_for(think_s);
        station->acquire();
        sg4::this_actor::sleep_for(service_s);
        station->release();
        done++;
      }
    });
    customer->daemonize();
  }
  sg4::Actor::create("clock", host, [=]() { sg4::this_actor::sleep_until(until_s); });
  const std::clock_t begin = std::clock();
  engine.run();
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%ld %f\n", done, seconds);
  return 0;
}
