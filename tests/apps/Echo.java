// SPDX-License-Identifier: MIT
// An NIO echo server, and clients that check what comes back.
//
// usage: Echo serve | sockets|channels|trips|closes PORT CONNECTIONS AMOUNT
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Echo {
	interface Job {
		void run() throws Exception;
	}

	static void serve() throws IOException {
		Selector selector = Selector.open();
		ServerSocketChannel server = ServerSocketChannel.open();
		server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
		server.configureBlocking(false);
		server.register(selector, SelectionKey.OP_ACCEPT);
		System.out.println("listening " + server.socket().getLocalPort());
		for (;;) {
			selector.select();
			for (SelectionKey key : selector.selectedKeys()) {
				if (key.isAcceptable()) {
					SocketChannel channel = server.accept();
					channel.configureBlocking(false);
					channel.register(selector, SelectionKey.OP_READ, ByteBuffer.allocateDirect(100000));
				} else {
					echo(key);
				}
			}
			selector.selectedKeys().clear();
		}
	}

	// Reads when its buffer is empty, else writes.
	static void echo(SelectionKey key) throws IOException {
		SocketChannel channel = (SocketChannel)key.channel();
		ByteBuffer buffer = (ByteBuffer)key.attachment();
		try {
			if (key.isReadable()) {
				if (channel.read(buffer) < 0) {
					channel.close();
					return;
				}
				buffer.flip();
			}
			channel.write(buffer);
			if (buffer.hasRemaining()) {
				key.interestOps(SelectionKey.OP_WRITE);
			} else {
				buffer.clear();
				key.interestOps(SelectionKey.OP_READ);
			}
		} catch (IOException error) {
			channel.close();
		}
	}

	static byte[] random(int size) {
		byte[] data = new byte[size];
		new Random().nextBytes(data);
		return data;
	}

	static void check(byte[] want, byte[] got) {
		int at = Arrays.mismatch(want, got);
		if (at >= 0)
			throw new IllegalStateException("of " + want.length + " bytes other ones came back, from " + at + " on");
	}

	static Socket open(int port) throws IOException {
		Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
		socket.setTcpNoDelay(true);
		return socket;
	}

	static void socket(int port, int size) throws Exception {
		byte[] data = random(size), got = new byte[size];
		try (Socket socket = open(port)) {
			Thread writer = new Thread(() -> {
				try {
					for (int at = 0, n; at < size; at += n) {
						n = Math.min(size - at, 1 + new Random().nextInt(200000));
						socket.getOutputStream().write(data, at, n);
					}
					socket.shutdownOutput();
				} catch (IOException error) {
					error.printStackTrace();
				}
			});
			writer.start();
			DataInputStream in = new DataInputStream(socket.getInputStream());
			in.readFully(got);
			if (in.read() != -1)
				throw new IllegalStateException("more came back");
			writer.join();
		}
		check(data, got);
	}

	static void channels(int port, int connections, int size) throws IOException {
		byte[] data = random(size);
		Selector selector = Selector.open();
		for (int i = 0; i < connections; i++) {
			SocketChannel channel = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
			channel.configureBlocking(false);
			channel.register(selector, SelectionKey.OP_READ | SelectionKey.OP_WRITE,
				new ByteBuffer[] { ByteBuffer.wrap(data).asReadOnlyBuffer(), ByteBuffer.allocate(size) });
		}
		while (connections > 0) {
			selector.select();
			for (SelectionKey key : selector.selectedKeys()) {
				SocketChannel channel = (SocketChannel)key.channel();
				ByteBuffer[] both = (ByteBuffer[])key.attachment();
				if (key.isWritable() && channel.write(both[0]) >= 0 && !both[0].hasRemaining())
					key.interestOps(SelectionKey.OP_READ);
				if (key.isReadable() && channel.read(both[1]) < 0)
					throw new IllegalStateException("an early end");
				if (!both[1].hasRemaining()) {
					check(data, both[1].array());
					channel.close();
					connections--;
				}
			}
			selector.selectedKeys().clear();
		}
	}

	static void trips(int port, int n) throws IOException {
		Random random = new Random();
		try (Socket socket = open(port)) {
			DataInputStream in = new DataInputStream(socket.getInputStream());
			for (int i = 0; i < n; i++) {
				byte[] data = random(1 + random.nextInt(300)), got = new byte[data.length];
				socket.getOutputStream().write(data);
				in.readFully(got);
				check(data, got);
			}
		}
	}

	// The JDK ends a sleeping read by tricks of its own.
	static void closes(int port) throws Exception {
		Socket socket = open(port);
		DataInputStream in = new DataInputStream(socket.getInputStream());
		for (int i = 0; i < 100; i++) {
			byte[] data = random(1000), got = new byte[1000];
			socket.getOutputStream().write(data);
			in.readFully(got);
			check(data, got);
		}
		boolean[] threw = new boolean[1];
		Thread reader = new Thread(() -> {
			try {
				in.read();
			} catch (IOException expected) {
				threw[0] = true;
			}
		});
		reader.start();
		Thread.sleep(300);
		socket.close();
		reader.join(10000);
		if (reader.isAlive() || !threw[0])
			throw new IllegalStateException("the reader did not hear of the close");
	}

	static void all(int connections, Job job) throws Exception {
		ExecutorService threads = Executors.newFixedThreadPool(connections);
		List<Future<?>> done = new ArrayList<>();
		for (int i = 0; i < connections; i++)
			done.add(threads.submit(() -> {
				job.run();
				return null;
			}));
		for (Future<?> one : done)
			one.get();
		threads.shutdown();
	}

	public static void main(String[] words) throws Exception {
		if (words[0].equals("serve")) {
			serve();
			return;
		}
		int port = Integer.parseInt(words[1]);
		int connections = Integer.parseInt(words[2]);
		int amount = Integer.parseInt(words[3]);
		try {
			switch (words[0]) {
			case "sockets": all(connections, () -> socket(port, amount)); break;
			case "channels": channels(port, connections, amount); break;
			case "trips": all(connections, () -> trips(port, amount)); break;
			case "closes": all(connections, () -> closes(port)); break;
			default: throw new IllegalArgumentException(words[0]);
			}
		} catch (Exception error) {
			error.printStackTrace();
			System.exit(1);
		}
	}
}
