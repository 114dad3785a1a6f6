// One thread reads requests from all connections and queues them; workers make the calls and answer.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

constexpr int kWorkers = 48;

struct Request {
    int connection;
    std::string id;
    std::string request_id;
};

class Queue {
public:
    void push(Request request) {
        {
            std::lock_guard guard(mutex_);
            requests_.push(std::move(request));
        }
        ready_.notify_one();
    }

    Request pop() {
        std::unique_lock guard(mutex_);
        ready_.wait(guard, [this] { return !requests_.empty(); });
        Request request = std::move(requests_.front());
        requests_.pop();
        return request;
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::queue<Request> requests_;
};

std::string environment(const char *name) {
    const char *value = getenv(name);
    if (!value) throw std::runtime_error(std::string(name) + " is not set");
    return value;
}

void check(bool holds, const char *what) {
    if (!holds) throw std::runtime_error(what);
}

std::string new_id(const std::string &parent, const char *kind) {
    static const int ledger = open(environment("TRUTH").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0666);
    thread_local std::mt19937_64 random{std::random_device{}()};
    char id[17];
    snprintf(id, sizeof id, "%016lx", static_cast<unsigned long>(random()));
    std::string line = parent + " " + id + " " + kind + "\n";
    check(write(ledger, line.data(), line.size()) == static_cast<ssize_t>(line.size()), "ledger");
    return id;
}

size_t ignore(char *, size_t size, size_t count, void *) { return size * count; }

// One worker's connections.
class Worker {
public:
    Worker() {
        std::string where = "host=127.0.0.1 user=postgres dbname=postgres port=" + environment("POSTGRES_PORT");
        database_ = PQconnectdb(where.c_str());
        check(PQstatus(database_) == CONNECTION_OK, "postgresql");
        cache_ = redisConnect("127.0.0.1", std::stoi(environment("REDIS_PORT")));
        check(cache_ && !cache_->err, "redis");
        curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    }

    void work(const Request &request) {
        std::string key = "k:" + new_id(request.id, "redis");
        freeReplyObject(redisCommand(cache_, "GET %s", key.c_str()));
        call(request);
        call(request);
        std::string sql = "SELECT pause('" + new_id(request.id, "sql") + "')";
        PGresult *result = PQexec(database_, sql.c_str());
        check(PQresultStatus(result) == PGRES_TUPLES_OK, "query");
        PQclear(result);
    }

private:
    void call(const Request &request) {
        std::string header = "X-Request-ID: " + request.request_id;
        curl_slist *headers = request.request_id.empty() ? nullptr : curl_slist_append(nullptr, header.c_str());
        curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers);
        long status = 503;
        for (int attempt = 0; attempt < 2 && status == 503; attempt++) {
            std::string url = environment("NEXT") + "/c/" + new_id(request.id, "http");
            curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
            check(curl_easy_perform(curl_) == CURLE_OK, "call");
            curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
        }
        curl_slist_free_all(headers);
    }

    CURL *curl_ = curl_easy_init();
    PGconn *database_;
    redisContext *cache_;
};

void run(Queue &queue) {
    Worker worker;
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (;;) {
        Request request = queue.pop();
        worker.work(request);
        send(request.connection, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
}

// A whole request head, without a body.
Request parse(int connection, const std::string &head) {
    size_t start = head.find("/r/") + 3;
    Request request{connection, head.substr(start, head.find(' ', start) - start), ""};
    const std::string name = "\r\nX-Request-ID: ";
    if (size_t at = head.find(name); at != std::string::npos) {
        at += name.size();
        request.request_id = head.substr(at, head.find("\r\n", at) - at);
    }
    return request;
}

int listen_on(uint16_t port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0, "bind");
    check(listen(listener, 256) == 0, "listen");
    return listener;
}

class Reader {
public:
    Reader(int listener, Queue &queue) : listener_(listener), queue_(queue) { watch(listener); }

    void run() {
        std::vector<epoll_event> events(64);
        for (;;) {
            int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int at = 0; at < count; at++) {
                int socket = events[at].data.fd;
                socket == listener_ ? watch(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) : read(socket);
            }
        }
    }

private:
    void watch(int socket) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
    }

    void read(int connection) {
        char buffer[4096];
        ssize_t got = recv(connection, buffer, sizeof buffer, 0);
        std::string &head = heads_[connection];
        if (got <= 0) {
            heads_.erase(connection);
            close(connection);
            return;
        }
        head.append(buffer, static_cast<size_t>(got));
        if (head.find("\r\n\r\n") != std::string::npos) {
            queue_.push(parse(connection, head));
            head.clear();
        }
    }

    int listener_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    Queue &queue_;
    std::unordered_map<int, std::string> heads_;
};

}  // namespace

int main() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    Queue queue;
    std::vector<std::thread> workers;
    for (int at = 0; at < kWorkers; at++) workers.emplace_back(run, std::ref(queue));
    Reader(listen_on(static_cast<uint16_t>(std::stoi(environment("PORT")))), queue).run();
}
