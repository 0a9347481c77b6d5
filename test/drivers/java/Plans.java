// Sessions whose statements stay prepared while the schema changes. Usage: Plans SECONDS SESSIONS; the tally is one line of JSON.
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

public final class Plans {
  static final String[] TEXTS = {
    "SELECT * FROM shape WHERE id = ?",
    "SELECT s.*, ?::int AS n FROM shape s WHERE id = 1",
    "SELECT s.*, ?::int8 AS n FROM shape s ORDER BY id",
  };
  /** The pace of an application. At full speed the sessions of the fastest driver keep the links from the others', which then meet fewer changes. */
  static final int PACE_MS = 10;
  static final long LONG = 0x4142434445464748L;
  /** What each kind of row is decoded as; the kind is in the row itself. */
  static final Map<String, List<Object>> ROWS =
      Map.of(
          "int4", List.of(0x41424344),
          "text", List.of("ABCD"),
          "int8", List.of(LONG),
          "wider", List.of(LONG, 5),
          "renamed", List.of(LONG, 5));

  static final AtomicInteger rows = new AtomicInteger();
  static final AtomicInteger fresh = new AtomicInteger();
  static final AtomicInteger inBlocks = new AtomicInteger();
  static final AtomicInteger refused = new AtomicInteger();
  static final AtomicInteger refusedFresh = new AtomicInteger();
  static final AtomicInteger refusedAgain = new AtomicInteger();
  static final List<String> wrong = Collections.synchronizedList(new ArrayList<>());
  static final List<String> failed = Collections.synchronizedList(new ArrayList<>());

  interface Work {
    void run(long until) throws Exception;
  }

  static Connection connect() throws SQLException {
    return Cases.connect("prepareThreshold", "1");
  }

  static int changes(Connection on) throws SQLException {
    try (var statement = on.createStatement(); ResultSet answer = statement.executeQuery("SELECT n FROM changes")) {
      answer.next();
      return answer.getInt(1);
    }
  }

  static void read(PreparedStatement statement, String text) throws SQLException {
    statement.setInt(1, 1);
    try (ResultSet answer = statement.executeQuery()) {
      while (answer.next()) {
        List<Object> values = new ArrayList<>();
        try {
          int end = answer.getMetaData().getColumnCount() - (text == TEXTS[0] ? 0 : 1);
          for (int at = 3; at <= end; at++) values.add(answer.getObject(at));
        } catch (SQLException | RuntimeException error) {
          values.add(error);
        }
        if (!values.equals(ROWS.get(answer.getString(2)))) wrong.add("pgJDBC: " + answer.getString(2) + " " + values + " of " + text);
        rows.incrementAndGet();
      }
    }
  }

  /** How many changes there were before, and whether it was refused. */
  record Outcome(int before, boolean refused) {}

  /** Runs it, in a transaction block or not. */
  static Outcome once(Connection on, PreparedStatement statement, String text, boolean block) throws SQLException {
    on.setAutoCommit(!block);
    int before = changes(on);
    boolean was = false;
    try {
      read(statement, text);
    } catch (SQLException error) {
      if (!"0A000".equals(error.getSQLState())) throw error;
      refused.incrementAndGet();
      was = true;
    }
    if (block) on.rollback();
    on.setAutoCommit(true);
    return new Outcome(before, was);
  }

  static void old(long until) throws Exception {
    try (Connection on = connect()) {
      Map<String, PreparedStatement> statements = new HashMap<>();
      // how many changes there were when each text was refused last beyond doubt
      Map<String, Integer> known = new HashMap<>();
      for (String text : TEXTS) statements.put(text, on.prepareStatement(text));
      for (int turn = 0; System.nanoTime() < until; turn++) {
        String text = TEXTS[turn % TEXTS.length];
        Outcome outcome = once(on, statements.get(text), text, turn % 4 == 0);
        if (outcome.refused) {
          int after = changes(on);
          Integer last = known.remove(text);
          if (last != null && last == after) refusedAgain.incrementAndGet();
          if (outcome.before == after) known.put(text, after);
        }
        Thread.sleep(PACE_MS);
      }
    }
  }

  static void fresh(long until) throws Exception {
    for (int turn = 0; System.nanoTime() < until; turn++) {
      boolean block = turn % 2 == 0;
      String text = TEXTS[turn % TEXTS.length];
      try (Connection on = connect(); PreparedStatement statement = on.prepareStatement(text)) {
        fresh.incrementAndGet();
        if (block) inBlocks.incrementAndGet();
        Outcome outcome = once(on, statement, text, block);
        // what is in a block holds its locks: nothing can have changed since it was prepared
        if (outcome.refused && (block || outcome.before == changes(on))) refusedFresh.incrementAndGet();
      }
      Thread.sleep(PACE_MS);
    }
  }

  static Thread start(Work work, long until) {
    Thread thread = new Thread(() -> {
      try {
        work.run(until);
      } catch (Exception | Error error) {
        failed.add("pgJDBC: " + error);
      }
    });
    thread.start();
    return thread;
  }

  static String list(List<String> texts) {
    return texts.stream().limit(5).map(text -> '"' + text.replaceAll("[\\\\\"\\p{Cntrl}]", " ") + '"').collect(Collectors.joining(",", "[", "]"));
  }

  public static void main(String[] arguments) throws Exception {
    long until = System.nanoTime() + Integer.parseInt(arguments[0]) * 1_000_000_000L;
    List<Thread> threads = new ArrayList<>(Arrays.asList(start(Plans::fresh, until)));
    for (int count = Integer.parseInt(arguments[1]); count > 0; count--) threads.add(start(Plans::old, until));
    for (Thread thread : threads) thread.join();
    System.out.printf(
        "{\"rows\":%s,\"fresh\":%s,\"inBlocks\":%s,\"refused\":%s,\"refusedFresh\":%s,\"refusedAgain\":%s,\"wrong\":%s,\"failed\":%s}%n",
        rows, fresh, inBlocks, refused, refusedFresh, refusedAgain, list(wrong), list(failed));
  }
}
