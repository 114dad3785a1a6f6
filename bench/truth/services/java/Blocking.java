import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import redis.clients.jedis.JedisPool;
import redis.clients.jedis.JedisPoolConfig;

/**
 * A pool of threads reads requests and hands each to a second pool; a third makes the HTTP calls, two at once. With
 * `virtual` each request and each HTTP call has a virtual thread instead.
 */
final class Blocking {
    private static final int THREADS = 64;

    private final ExecutorService callers;
    private final JedisPool cache;
    private final HikariDataSource database = database();

    private Blocking(ExecutorService callers) {
        this.callers = callers;
        JedisPoolConfig config = new JedisPoolConfig();
        config.setMaxTotal(32);
        cache = new JedisPool(config, "127.0.0.1", Integer.parseInt(System.getenv("REDIS_PORT")));
    }

    static HikariDataSource database() {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://127.0.0.1:" + System.getenv("POSTGRES_PORT") + "/postgres");
        config.setUsername("postgres");
        config.setMaximumPoolSize(32);
        return new HikariDataSource(config);
    }

    static void query(HikariDataSource database, String sql) {
        try (Connection connection = database.getConnection(); Statement statement = connection.createStatement()) {
            statement.executeQuery(sql).next();
        } catch (SQLException error) {
            throw new IllegalStateException(error);
        }
    }

    private void work(Request request) throws Exception {
        try (var jedis = cache.getResource()) {
            jedis.get(request.newKey());
        }
        List<Future<?>> calls = List.of(callers.submit(() -> call(request)), callers.submit(() -> call(request)));
        for (Future<?> call : calls) {
            call.get();
        }
        query(database, request.newStatement());
    }

    private static void call(Request request) {
        try {
            for (int attempt = 0; attempt < 2 && once(request) == 503; attempt++) {}
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static int once(Request request) throws IOException {
        var connection = (HttpURLConnection) new URL(request.newUrl()).openConnection();
        if (request.requestId != null) {
            connection.setRequestProperty("X-Request-ID", request.requestId);
        }
        int status = connection.getResponseCode();
        try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            body.readAllBytes();
        }
        return status;
    }

    private void answer(Request request) {
        Throwable failure = null;
        try {
            work(request);
        } catch (Exception error) {
            failure = error;
        }
        request.answer(failure);
    }

    /** Known since Java 21; this compiles with 17. */
    private static ExecutorService virtualThreads() throws ReflectiveOperationException {
        return (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    }

    public static void main(String[] arguments) throws Exception {
        System.setProperty("http.maxConnections", "128");
        boolean isVirtual = arguments.length > 0 && arguments[0].equals("virtual");
        ExecutorService readers = isVirtual ? virtualThreads() : Executors.newFixedThreadPool(THREADS);
        Executor workers = isVirtual ? Runnable::run : Executors.newFixedThreadPool(THREADS);
        Blocking service = new Blocking(isVirtual ? readers : Executors.newFixedThreadPool(2 * THREADS));
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        server.setExecutor(readers);
        server.createContext("/r/", exchange -> {
            Request request = new Request(exchange);
            workers.execute(() -> service.answer(request));
        });
        server.start();
    }
}
