// pgJDBC: the cases of the driver matrix. Usage: Cases transaction|session; the connection is in PG* variables.
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;

public final class Cases {
  static final String TABLE = "rows_pgjdbc";
  static final String LARGE =
      "SELECT n, repeat(chr(97 + n % 26), 10000) AS b FROM generate_series(1, 1000) AS n";
  static final String SLEEPING =
      "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')";

  interface Case {
    void run() throws Exception;
  }

  static Connection connection;

  static Connection connect(String... settings) throws SQLException {
    Map<String, String> env = System.getenv();
    String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE");
    Properties properties = new Properties();
    properties.setProperty("user", env.get("PGUSER"));
    properties.setProperty("password", env.getOrDefault("PGPASSWORD", ""));
    properties.setProperty("sslmode", env.getOrDefault("PGSSLMODE", "prefer"));
    properties.setProperty("connectTimeout", "10");
    properties.setProperty("socketTimeout", "30");
    for (int at = 0; at < settings.length; at += 2) properties.setProperty(settings[at], settings[at + 1]);
    return DriverManager.getConnection(url, properties);
  }

  static void check(Object seen, Object wanted) {
    if (!Objects.equals(seen, wanted)) throw new AssertionError(seen + ", not " + wanted);
  }

  static Object one(Connection on, String text, Object... values) throws SQLException {
    try (PreparedStatement statement = on.prepareStatement(text)) {
      return one(statement, values);
    }
  }

  static Object one(PreparedStatement statement, Object... values) throws SQLException {
    for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
    try (ResultSet rows = statement.executeQuery()) {
      rows.next();
      return rows.getObject(1);
    }
  }

  static void execute(Connection on, String text) throws SQLException {
    try (Statement statement = on.createStatement()) {
      statement.execute(text);
    }
  }

  static void fails(String wanted, Case attempt) throws Exception {
    try {
      attempt.run();
    } catch (SQLException error) {
      check(error.getSQLState(), wanted);
      return;
    }
    throw new AssertionError("no error, not " + wanted);
  }

  static void parameters() throws Exception {
    check(one(connection, "SELECT ?::text", "ü €"), "ü €");
    check(one(connection, "SELECT ?::int8", 1L << 40), 1L << 40);
    check(one(connection, "SELECT (?::int[])[2]", connection.createArrayOf("int4", new Object[] {1, 2})), 2);
  }

  /** From the fifth execution on the driver names the statement, and reads results in binary. */
  static void prepared() throws Exception {
    List<Connection> others = new ArrayList<>();
    List<PreparedStatement> statements = new ArrayList<>();
    for (int count = 0; count < 4; count++) {
      others.add(connect());
      statements.add(others.get(count).prepareStatement("SELECT ?::int + 1"));
    }
    for (int number = 0; number < 20; number++)
      for (PreparedStatement statement : statements) check(one(statement, number), number + 1);
    for (Connection other : others) other.close();
  }

  /** Named at once, and more statements than the driver keeps: the oldest are closed. */
  static void preparedAtOnce() throws Exception {
    try (Connection other = connect("prepareThreshold", "-1", "preparedStatementCacheQueries", "20")) {
      for (int round = 0; round < 2; round++)
        for (int number = 0; number < 60; number++)
          check(one(other, "SELECT ?::int + " + number, 1), number + 1);
    }
  }

  static void queryModes() throws Exception {
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
      try (Connection other = connect("preferQueryMode", mode)) {
        for (int number = 0; number < 10; number++) check(one(other, "SELECT ?::int", number), number);
      }
    }
  }

  static void batch() throws Exception {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO " + TABLE + " VALUES (?, ?)")) {
      for (int number = 100; number < 600; number++) {
        insert.setInt(1, number);
        insert.setString(2, "many");
        insert.addBatch();
      }
      check(insert.executeBatch().length, 500);
    }
    check(one(connection, "SELECT count(*) FROM " + TABLE + " WHERE b = 'many'"), 500L);
    execute(connection, "DELETE FROM " + TABLE);
  }

  static void transaction() throws Exception {
    connection.setAutoCommit(false);
    execute(connection, "INSERT INTO " + TABLE + " VALUES (1, 'one')");
    var savepoint = connection.setSavepoint();
    execute(connection, "INSERT INTO " + TABLE + " VALUES (2, 'two')");
    connection.rollback(savepoint);
    connection.commit();
    execute(connection, "INSERT INTO " + TABLE + " VALUES (3, 'three')");
    connection.rollback();
    connection.setAutoCommit(true);
    check(one(connection, "SELECT array_agg(a)::text FROM " + TABLE), "{1}");
  }

  static void errorInTransaction() throws Exception {
    connection.setAutoCommit(false);
    fails("22012", () -> one(connection, "SELECT 1/?::int", 0));
    fails("25P02", () -> one(connection, "SELECT 1"));
    connection.rollback();
    connection.setAutoCommit(true);
  }

  static void errorAfter() throws Exception {
    fails("42P01", () -> one(connection, "SELECT * FROM no_such_table"));
    fails("23505", () -> execute(connection, "INSERT INTO " + TABLE + " VALUES (1, 'again')"));
    check(one(connection, "SELECT ?::int", 7), 7);
  }

  static void serverCursor() throws Exception {
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(10);
      int rows = 0;
      try (ResultSet answer = statement.executeQuery("SELECT generate_series(1, 25)")) {
        while (answer.next()) check(answer.getInt(1), ++rows);
      }
      check(rows, 25);
    }
    connection.commit();
    connection.setAutoCommit(true);
  }

  static void copyIn() throws Exception {
    StringBuilder lines = new StringBuilder();
    for (int number = 1000; number < 6000; number++) lines.append(number).append('\t').append("x".repeat(100)).append('\n');
    var source = new ByteArrayInputStream(lines.toString().getBytes(StandardCharsets.UTF_8));
    var copy = connection.unwrap(PGConnection.class).getCopyAPI();
    check(copy.copyIn("COPY " + TABLE + " FROM STDIN", source), 5000L);
    check(one(connection, "SELECT count(*) FROM " + TABLE + " WHERE a >= 1000"), 5000L);
  }

  static void copyInFails() throws Exception {
    var copy = connection.unwrap(PGConnection.class).getCopyAPI();
    var source = new ByteArrayInputStream("no number\tx\n".getBytes(StandardCharsets.UTF_8));
    fails("22P02", () -> copy.copyIn("COPY " + TABLE + " FROM STDIN", source));
    check(one(connection, "SELECT 1"), 1);
  }

  static void copyOut() throws Exception {
    var target = new ByteArrayOutputStream();
    var copy = connection.unwrap(PGConnection.class).getCopyAPI();
    check(copy.copyOut("COPY (SELECT * FROM " + TABLE + " WHERE a >= 1000) TO STDOUT", target), 5000L);
    check(target.toString(StandardCharsets.UTF_8).lines().count(), 5000L);
  }

  static void cancel() throws Exception {
    try (Connection watcher = connect(); Statement statement = connection.createStatement()) {
      var asked = CompletableFuture.runAsync(() -> {
        try {
          // before it sleeps there is nothing to cancel
          boolean asleep = false;
          while (!asleep) asleep = (boolean) one(watcher, SLEEPING);
          statement.cancel();
        } catch (SQLException error) {
          throw new IllegalStateException(error);
        }
      });
      fails("57014", () -> statement.execute("SELECT pg_sleep(20)"));
      asked.get();
    }
    check(one(connection, "SELECT 1"), 1);
  }

  static void queryTimeout() throws Exception {
    try (Statement statement = connection.createStatement()) {
      statement.setQueryTimeout(1);
      fails("57014", () -> statement.execute("SELECT pg_sleep(20)"));
    }
    check(one(connection, "SELECT 1"), 1);
  }

  static void largeResult() throws Exception {
    long bytes = 0;
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(LARGE)) {
      while (rows.next()) bytes += rows.getString(2).length();
    }
    check(bytes, 10_000_000L);
  }

  static void notifyNobody() throws Exception {
    execute(connection, "NOTIFY driver_matrix, 'nobody listens'");
  }

  static void setParameter() throws Exception {
    execute(connection, "SET work_mem = '7MB'");
    for (int round = 0; round < 5; round++) check(one(connection, "SHOW work_mem"), "7MB");
    execute(connection, "RESET work_mem");
  }

  static void tempTable() throws Exception {
    execute(connection, "CREATE TEMP TABLE kept (a int)");
    execute(connection, "INSERT INTO kept VALUES (1)");
    check(one(connection, "SELECT count(*) FROM kept"), 1L);
  }

  static void listen() throws Exception {
    execute(connection, "LISTEN driver_matrix");
    try (Connection other = connect()) {
      one(other, "SELECT pg_notify('driver_matrix', 'hello')::text");
    }
    var heard = connection.unwrap(PGConnection.class).getNotifications(10_000);
    check(heard.length, 1);
    check(heard[0].getName() + " " + heard[0].getParameter(), "driver_matrix hello");
  }

  static Map<String, Case> cases(String mode) {
    Map<String, Case> every = new LinkedHashMap<>();
    every.put("parameters", Cases::parameters);
    every.put("prepared", Cases::prepared);
    every.put("prepared_at_once", Cases::preparedAtOnce);
    every.put("query_modes", Cases::queryModes);
    every.put("batch", Cases::batch);
    every.put("transaction", Cases::transaction);
    every.put("error_in_transaction", Cases::errorInTransaction);
    every.put("error_after", Cases::errorAfter);
    every.put("server_cursor", Cases::serverCursor);
    every.put("copy_in", Cases::copyIn);
    every.put("copy_in_fails", Cases::copyInFails);
    every.put("copy_out", Cases::copyOut);
    every.put("cancel", Cases::cancel);
    every.put("query_timeout", Cases::queryTimeout);
    every.put("large_result", Cases::largeResult);
    every.put("notify", Cases::notifyNobody);
    every.put("listen", Cases::listen);
    if (!mode.equals("session")) return every;
    every.put("set_parameter", Cases::setParameter);
    every.put("temp_table", Cases::tempTable);
    return every;
  }

  public static void main(String[] args) throws Exception {
    connection = connect();
    execute(connection, "DROP TABLE IF EXISTS " + TABLE + "; CREATE TABLE " + TABLE + " (a int PRIMARY KEY, b text)");
    String server = connection.getMetaData().getDatabaseProductVersion();
    System.out.println("version " + connection.getMetaData().getDriverVersion() + " server " + server);
    int code = 0;
    for (var entry : cases(args[0]).entrySet()) {
      try {
        entry.getValue().run();
        System.out.println("ok " + entry.getKey());
      } catch (Throwable error) {
        code = 1;
        System.out.println("FAIL " + entry.getKey() + " " + String.valueOf(error).replaceAll("\\s+", " "));
        error.printStackTrace();
      }
    }
    System.exit(code);
  }
}
